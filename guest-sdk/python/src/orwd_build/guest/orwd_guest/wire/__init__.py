"""The exports of the component, over the classes of the author."""
