//! A mesh on one machine, as whoever types `relaymesh dev` meets it; and the commands of tasks on it.

mod mistakes;
mod runs;
mod stage;
mod tasks;
