"""What earlier versions of lstmfast wrote, a folder each, and the script that had them write it."""
