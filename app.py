"""Start the page from a clone: `python app.py`, then open the address that it prints."""

from app.launch import main

if __name__ == "__main__":
    main()
