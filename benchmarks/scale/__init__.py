"""The scale benchmark: several instances over one store and one bus, beside Hocuspocus on Redis."""
