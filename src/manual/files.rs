//! Files: what lies on the disk, under which names, and what becomes of changes.
//!
//! # Names
//!
//! A file has its name in the torrent if the file system takes it. If it does not (`?` and `:` on exFAT, NTFS and
//! shares, 143 bytes on eCryptfs, names that differ only in case), the file is stored under a cleaned, shortened
//! or numbered name, which bitwren prints and finds again; `--rename N=NAME` sets another. Control characters and
//! marks that change the direction of text become `_`, unless the data is already stored under that name.
//! Symbolic links to something in the same torrent are created; others are only listed (`show`, `-v`).
//!
//! # Unselected files
//!
//! Data of unselected files that share a piece with a selected one lies in a part file. It moves to the file if
//! that is selected later.
//!
//! # Files that change while they are seeded
//!
//! A change is noticed by the length and the time of the file: when a block of it is about to be sent (checked
//! every two seconds at most), when the state is saved, and when a peer disconnects that was just served. The file
//! is then hashed again. What is wrong is no longer offered (`lt_donthave`, BEP 54), and a line says so. A download
//! fetches it again; a complete torrent leaves the file as the user changed it and seeds the rest.
