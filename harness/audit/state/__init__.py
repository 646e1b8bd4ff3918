"""What calls share: the graph of objects, and how each is kept, compared and put back."""
