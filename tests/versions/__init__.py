"""The oldest and the newest versions of what the wheel needs: `lowest.txt` and `newest.txt`, and tests run on them."""
