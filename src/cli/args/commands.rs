//! The commands: their names, what they take and what they are for. Help, man page and completions
//! are made from this table and the flag table.

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Get,
    Seed,
    Share,
    Daemon,
    Show,
    Verify,
    Scrape,
    Create,
    Edit,
    Magnet,
    Tracker,
    Completions,
    Man,
    Help,
}

/// What the operands of a command are, for completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    Torrent,
    Path,
    OneOf(&'static [&'static str]),
    Nothing,
}

/// The documentation of a command.
#[derive(Debug)]
pub struct Entry {
    pub command: Command,
    pub name: &'static str,
    /// What follows the options on the usage line.
    pub takes: &'static str,
    /// The least and the most operands.
    pub count: (usize, usize),
    pub operand: Operand,
    /// One line.
    pub summary: &'static str,
    /// Paragraphs, each on a line.
    pub about: &'static str,
    /// Command lines and what they do.
    pub examples: &'static [(&'static str, &'static str)],
}

/// The shells that completions can be made for.
pub const SHELLS: &[&str] = &["bash", "zsh", "fish"];

/// The words `help` knows besides the commands.
pub const TOPICS: &[&str] = &["exit-codes", "json", "environment"];

/// Every command, as the help lists them.
pub const COMMANDS: &[Entry] = &[
    Entry {
        command: Command::Get,
        name: "get",
        takes: "TORRENT…",
        count: (1, usize::MAX),
        operand: Operand::Torrent,
        summary: "Download torrents",
        about: "Downloads each TORRENT: the path of a .torrent file, its http, https or file URL, a magnet \
                link, an info-hash, or - for standard input. For a magnet link, or an info-hash of 40 \
                hexadecimal or 32 base32 digits, the metadata is first fetched from peers. Several torrents \
                are downloaded at the same time. Existing data is kept: an interrupted download resumes, \
                and data without a resume state is checked piece by piece.\n\
                Exits when everything is complete and verified, unless seeding was asked for. With several \
                torrents the exit code is that of the first failure.",
        examples: &[
            ("bitwren get debian.torrent", "download into the current directory"),
            (
                "bitwren get -d ~/iso --down 2M --up 500K debian.torrent",
                "into ~/iso, at most 2 MiB/s down and 500 KiB/s up",
            ),
            ("bitwren get 'magnet:?xt=urn:btih:…'", "from a magnet link; the quotes are needed"),
            ("bitwren get --metadata-only 'magnet:?xt=urn:btih:…'", "save only its .torrent"),
            ("bitwren get --list album.torrent", "list the files with their numbers"),
            ("bitwren get --select '1-4,*.txt' album.torrent", "four files and all text files"),
            (
                "bitwren get --seed-ratio 1 a.torrent b.torrent",
                "seed until as much is uploaded as was \
                                                                downloaded",
            ),
            ("curl -s https://example.org/a.torrent | bitwren get -", "read the torrent from standard input"),
        ],
    },
    Entry {
        command: Command::Seed,
        name: "seed",
        takes: "TORRENT…",
        count: (1, usize::MAX),
        operand: Operand::Torrent,
        summary: "Seed existing data",
        about: "Checks that the data of each TORRENT is in the directory, then uploads it to others until \
                Ctrl-C, or until --seed-ratio, --seed-time or --seed-idle is reached. Downloads nothing, \
                and fails if data is missing or wrong.",
        examples: &[
            ("bitwren seed -d ~/iso debian.torrent", "seed ~/iso/debian.iso"),
            ("bitwren seed --up 1M --seed-time 90 debian.torrent", "for 90 minutes, at most 1 MiB/s"),
        ],
    },
    Entry {
        command: Command::Share,
        name: "share",
        takes: "PATH…",
        count: (1, usize::MAX),
        operand: Operand::Path,
        summary: "Share files on the local network",
        about: "Makes a torrent of each file or directory PATH in memory, runs a tracker, seeds, and prints \
                the command to type on the other machines. Neither internet access nor any set-up is \
                needed. The machines also upload to each other, so serving many takes hardly longer than \
                serving one. Other BitTorrent clients can load the .torrent from the same URL.\n\
                Runs until Ctrl-C, or until enough machines have everything (--for, --once). The torrents \
                are private (BEP 27): peers come from this tracker only. Anyone who can reach this machine \
                and guesses the name of what is shared can download it; see --secret.",
        examples: &[
            ("bitwren share disk.img", "with everyone on the network"),
            (
                "bitwren share --for 10 --secret tulip image/",
                "with ten machines, by a URL that depends on a \
                                                              secret word",
            ),
            ("bitwren share --once --qr photos", "with one machine, and show a QR code"),
        ],
    },
    Entry {
        command: Command::Daemon,
        name: "daemon",
        takes: "",
        count: (0, 0),
        operand: Operand::Nothing,
        summary: "Run many torrents, driven by other programs",
        about: "Runs in the foreground and keeps torrents over restarts. Other programs add, watch and remove \
                them over the RPC of Transmission, as transmission-remote, Sonarr, Flood, stig, tremc and many \
                apps speak it. Everything that was added, and every setting that was changed, lies in the state \
                directory, and is there again at the next start, also after a power cut.\n\
                The RPC is served on 127.0.0.1:9091, to programs of this machine alone. On another address it \
                needs a password (--rpc-password-file), or --rpc-open. Requests may name directories below the \
                download directory and those of --roots, and no others.\n\
                SIGTERM and Ctrl-C end it, and save everything. SIGHUP reads blocklists again. systemd is told \
                when it answers (Type=notify).",
        examples: &[
            ("bitwren daemon --download-dir /srv/torrents", "for programs of this machine"),
            ("transmission-remote -a debian.torrent", "add a torrent to it"),
            (
                "bitwren daemon --rpc-bind 0.0.0.0 --rpc-password-file ~/rpc-password",
                "for other machines, too; the file holds NAME:PASSWORD",
            ),
        ],
    },
    Entry {
        command: Command::Show,
        name: "show",
        takes: "TORRENT…",
        count: (1, usize::MAX),
        operand: Operand::Torrent,
        summary: "Show what a torrent contains",
        about: "Prints name, size, pieces, info-hash, magnet link, trackers and files of each TORRENT \
                (path, http or https URL, or - for standard input). Nothing but the .torrent file itself \
                is downloaded. For a magnet link, prints what the link itself contains.",
        examples: &[
            ("bitwren show debian.torrent", "as text"),
            ("bitwren show --json debian.torrent", "as JSON, one object per torrent"),
        ],
    },
    Entry {
        command: Command::Verify,
        name: "verify",
        takes: "TORRENT…",
        count: (1, usize::MAX),
        operand: Operand::Torrent,
        summary: "Check data against a torrent",
        about: "Reads the data of each TORRENT in the directory, hashes every piece on all cores, and \
                prints which files are damaged or missing; with -v also which pieces. A piece that extends \
                into missing data cannot be checked. Does not change the data. The exit code is 32 unless \
                all data is present and correct. Several torrents are checked one after the other; the exit \
                code is that of the first failure.",
        examples: &[
            ("bitwren verify -d ~/iso debian.torrent", "check ~/iso/debian.iso"),
            ("bitwren verify --select '*.flac' album.torrent", "check only some files"),
            ("bitwren verify --clean --select 1-4 album.torrent", "and remove leftovers of unselected files"),
        ],
    },
    Entry {
        command: Command::Scrape,
        name: "scrape",
        takes: "TORRENT|URL [HASH…]",
        count: (1, 50),
        operand: Operand::Torrent,
        summary: "Ask trackers how many peers there are",
        about: "Asks every tracker of TORRENT, or the tracker at URL for each HASH, for the numbers of \
                seeders, leechers and completed downloads (BEP 48). HASH is an info-hash of 40 \
                hexadecimal digits.",
        examples: &[
            ("bitwren scrape debian.torrent", "ask the torrent's own trackers"),
            (
                "bitwren scrape udp://tracker.example:6969 0123456789abcdef0123456789abcdef01234567",
                "ask one tracker about one info-hash",
            ),
        ],
    },
    Entry {
        command: Command::Create,
        name: "create",
        takes: "PATH",
        count: (1, 1),
        operand: Operand::Path,
        summary: "Create a torrent",
        about: "Makes a .torrent of the file or directory PATH and prints its magnet link. Files are taken \
                in the order of their paths, byte by byte, so the same data always gives the same \
                info-hash, which is also mktorrent's (see --sort). These are left out with a warning: \
                hidden files, bitwren's state files, files that operating systems create (Thumbs.db and the \
                like), symbolic links, and anything that is neither a file nor a directory; see --all and \
                --follow-symlinks.",
        examples: &[
            (
                "bitwren create photos --tracker http://tracker.example/announce",
                "make photos.torrent of the directory photos",
            ),
            ("bitwren create --no-date -o - disk.img >disk.torrent", "write to standard output"),
        ],
    },
    Entry {
        command: Command::Edit,
        name: "edit",
        takes: "TORRENT…",
        count: (1, usize::MAX),
        operand: Operand::Torrent,
        summary: "Change trackers, web seeds and comments of torrents",
        about: "Changes trackers, web seeds and the comment of each TORRENT and leaves every other byte as \
                it is. The info-hash stays the same, so it is still the same torrent. The private flag and \
                the source tag are part of the info-hash: changing them needs --allow-new-hash. The file is \
                replaced atomically and keeps its owner and permissions.",
        examples: &[
            ("bitwren edit --tracker udp://t.example:6969 a.torrent", "add a tracker"),
            (
                "bitwren edit --replace-tracker old.example new.example *.torrent",
                "follow a tracker to its \
                                                                                  new host",
            ),
            ("bitwren edit --no-trackers --comment '' a.torrent", "remove all trackers and the comment"),
            (
                "bitwren edit --source NEW --allow-new-hash -o b.torrent a.torrent",
                "prepare it for another private tracker",
            ),
        ],
    },
    Entry {
        command: Command::Magnet,
        name: "magnet",
        takes: "TORRENT…",
        count: (1, usize::MAX),
        operand: Operand::Torrent,
        summary: "Print magnet links of torrents",
        about: "Prints the magnet link of each TORRENT (path, http or https URL, or - for standard input), \
                one per line. A TORRENT that is a magnet link or an info-hash is printed as a link in \
                normal form.",
        examples: &[
            ("bitwren magnet debian.torrent", "with its trackers and web seeds"),
            ("bitwren magnet --no-trackers *.torrent", "info-hashes and names only"),
        ],
    },
    Entry {
        command: Command::Tracker,
        name: "tracker",
        takes: "",
        count: (0, 0),
        operand: Operand::Nothing,
        summary: "Run a small tracker",
        about: "Runs an HTTP and a UDP tracker in memory until Ctrl-C and prints their announce URLs. \
                Meant for local networks, tests and demonstrations.",
        examples: &[
            ("bitwren tracker --port 6969", "HTTP and UDP on port 6969"),
            ("bitwren tracker --bind 127.0.0.1 --port 0", "on loopback, on a free port"),
        ],
    },
    Entry {
        command: Command::Completions,
        name: "completions",
        takes: "SHELL",
        count: (1, 1),
        operand: Operand::OneOf(SHELLS),
        summary: "Print completions for bash, zsh or fish",
        about: "Prints a script that completes commands, options and their values in SHELL.",
        examples: &[
            (
                "bitwren completions bash >~/.local/share/bash-completion/completions/bitwren",
                "install them \
                                                                                              for bash",
            ),
            ("bitwren completions zsh >\"${fpath[1]}/_bitwren\"", "install them for zsh"),
            ("bitwren completions fish >~/.config/fish/completions/bitwren.fish", "install them for fish"),
        ],
    },
    Entry {
        command: Command::Man,
        name: "man",
        takes: "",
        count: (0, 0),
        operand: Operand::Nothing,
        summary: "Print the manual page",
        about: "Prints the manual page in roff.",
        examples: &[
            ("bitwren man | man -l -", "read it"),
            ("bitwren man >/usr/local/share/man/man1/bitwren.1", "install it"),
        ],
    },
    Entry {
        command: Command::Help,
        name: "help",
        takes: "[COMMAND|TOPIC]",
        count: (0, 1),
        operand: Operand::OneOf(TOPICS),
        summary: "Explain a command or a topic",
        about: "Explains a COMMAND in full, or a TOPIC: exit-codes, json or environment.",
        examples: &[("bitwren help get", "all about get"), ("bitwren help json", "the output of --json")],
    },
];

/// The entry of a name.
pub fn find(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}
