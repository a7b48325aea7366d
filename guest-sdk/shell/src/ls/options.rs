//! The options of `ls`.

/// By what entries are sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Order {
    #[default]
    Name,
    Size,
    Time,
    Extension,
    None,
}

/// What follows a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mark {
    #[default]
    None,
    /// A slash after folders.
    Folders,
    /// A sign for each kind but files.
    Kinds,
    /// And for files that can be run.
    All,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeStyle {
    #[default]
    Short,
    LongIso,
    FullIso,
    Iso,
}

/// How entries are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Layout {
    #[default]
    Lines,
    Long,
    Commas,
}

/// The options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) all: bool,
    pub(crate) almost_all: bool,
    pub(crate) layout: Layout,
    pub(crate) order: Order,
    pub(crate) is_reversed: bool,
    pub(crate) is_recursive: bool,
    pub(crate) is_human: bool,
    pub(crate) lists_folders_themselves: bool,
    pub(crate) folders_first: bool,
    pub(crate) is_numeric: bool,
    pub(crate) hides_owner: bool,
    pub(crate) hides_group: bool,
    pub(crate) shows_blocks: bool,
    pub(crate) is_quoted: bool,
    pub(crate) mark: Mark,
    pub(crate) time: TimeStyle,
    pub(crate) paths: Vec<String>,
}

/// The usage, as `ls --help` shows it.
pub(crate) const USAGE: &str = "Usage: ls [OPTION]... [FILE]...
List information about the FILEs (the current directory by default).

  -a, -A      do not ignore entries that begin with .; -A without . and ..
  -l, -n      a long listing; -n with numbers of owners
  -g, -o, -G  a long listing without owner, without group; no group
  -h          sizes as 1K 234M 2G
  -1, -m      one entry a line; entries with commas
  -R, -d      folders in folders; folders themselves, not their contents
  -r, -S, -t, -X, -U  reversed; by size; by time; by extension; not sorted
  -F, -p      a sign after each kind of file; / after folders
  -s, -Q      with blocks; names in double quotes
      --group-directories-first  --full-time  --time-style=STYLE  --sort=WORD
";

impl Options {
    /// Reads the arguments. The error is the message.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(argument) = rest.next() {
            if argument == "--" {
                options.paths.extend(rest.by_ref().map(str::to_owned));
            } else if let Some(long) = argument.strip_prefix("--") {
                options.long(long)?;
            } else if argument.len() > 1 && argument.starts_with('-') {
                for letter in argument.chars().skip(1) {
                    options.short(letter)?;
                }
            } else {
                options.paths.push(argument.to_owned());
            }
        }
        Ok(options)
    }

    fn short(&mut self, letter: char) -> Result<(), String> {
        match letter {
            'a' => self.all = true,
            'A' => self.almost_all = true,
            'l' => self.layout = Layout::Long,
            'n' => (self.layout, self.is_numeric) = (Layout::Long, true),
            'g' => (self.layout, self.hides_owner) = (Layout::Long, true),
            'o' => (self.layout, self.hides_group) = (Layout::Long, true),
            'G' => self.hides_group = true,
            '1' if self.layout == Layout::Long => {}
            // Output that is no terminal has one column.
            '1' | 'C' | 'x' => self.layout = Layout::Lines,
            'm' => self.layout = Layout::Commas,
            'h' => self.is_human = true,
            'k' | 'N' | 'b' | 'c' | 'u' | 'L' | 'H' | 'q' => {}
            'R' => self.is_recursive = true,
            'd' => self.lists_folders_themselves = true,
            'r' => self.is_reversed = true,
            'S' => self.order = Order::Size,
            't' => self.order = Order::Time,
            'X' => self.order = Order::Extension,
            'U' => self.order = Order::None,
            'f' => (self.order, self.all) = (Order::None, true),
            'F' => self.mark = Mark::All,
            'p' => self.mark = Mark::Folders,
            's' => self.shows_blocks = true,
            'Q' => self.is_quoted = true,
            _ => {
                return Err(format!(
                    "ls: invalid option -- '{letter}'\nTry 'ls --help' for more information.\n"
                ));
            }
        }
        Ok(())
    }

    fn long(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        match (name, value) {
            ("all", _) => self.all = true,
            ("almost-all", _) => self.almost_all = true,
            ("human-readable", _) => self.is_human = true,
            ("recursive", _) => self.is_recursive = true,
            ("reverse", _) => self.is_reversed = true,
            ("directory", _) => self.lists_folders_themselves = true,
            ("group-directories-first", _) => self.folders_first = true,
            ("numeric-uid-gid", _) => self.short('n')?,
            ("no-group", _) => self.hides_group = true,
            ("size", _) => self.shows_blocks = true,
            ("quote-name", _) => self.is_quoted = true,
            ("classify", Some("never")) => self.mark = Mark::None,
            ("classify", _) => self.mark = Mark::All,
            ("file-type", _) => self.mark = Mark::Kinds,
            ("indicator-style", Some("slash")) => self.mark = Mark::Folders,
            ("indicator-style", Some("file-type")) => self.mark = Mark::Kinds,
            ("indicator-style", Some("classify")) => self.mark = Mark::All,
            ("indicator-style", Some("none")) => self.mark = Mark::None,
            ("full-time", _) => {
                (self.layout, self.time) = (Layout::Long, TimeStyle::FullIso);
            }
            ("time-style", Some("long-iso")) => self.time = TimeStyle::LongIso,
            ("time-style", Some("full-iso")) => self.time = TimeStyle::FullIso,
            ("time-style", Some("iso")) => self.time = TimeStyle::Iso,
            ("time-style", Some("locale")) => self.time = TimeStyle::Short,
            ("sort", Some("name")) => self.order = Order::Name,
            ("sort", Some("size")) => self.order = Order::Size,
            ("sort", Some("time")) => self.order = Order::Time,
            ("sort", Some("extension")) => self.order = Order::Extension,
            ("sort", Some("none")) => self.order = Order::None,
            ("format", Some("long" | "verbose")) => self.layout = Layout::Long,
            ("format", Some("single-column")) => self.layout = Layout::Lines,
            ("format", Some("commas")) => self.layout = Layout::Commas,
            ("color" | "hyperlink" | "literal" | "time" | "width", _) => {}
            ("quoting-style", Some("literal")) => {}
            ("quoting-style", Some("c")) => self.is_quoted = true,
            (_, Some(value)) => {
                return Err(format!(
                    "ls: unrecognized option '--{name}={value}'\nTry 'ls --help' for more information.\n"
                ));
            }
            _ => {
                return Err(format!(
                    "ls: unrecognized option '--{name}'\nTry 'ls --help' for more information.\n"
                ));
            }
        }
        Ok(())
    }
}
