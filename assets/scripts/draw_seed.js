// Draw a seed from 0 to 999,999; a locked one stays.
(locked, seed) => (locked ? seed : Math.floor(Math.random() * 1e6))
