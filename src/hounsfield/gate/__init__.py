"""What every front door does alike: who is calling, what an error becomes, how an answer goes out."""
