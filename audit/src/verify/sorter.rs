use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::vec::IntoIter;

/// So many bytes are held in memory before they go to a file.
const HELD: usize = 64 * 1024 * 1024;

/// Records by index, in bounded memory: what does not fit is written, sorted, to files in a folder (external merge sort).
pub(super) struct Sorter {
    folder: PathBuf,
    held: Vec<(u64, Vec<u8>)>,
    bytes: usize,
    runs: Vec<Run>,
}

enum Run {
    Held(IntoIter<(u64, Vec<u8>)>),
    Written(BufReader<File>),
}

impl Sorter {
    /// Writes to `folder`, which the caller removes, and only when there is much to sort.
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder, held: Vec::new(), bytes: 0, runs: Vec::new() }
    }

    pub(super) fn push(&mut self, index: u64, record: Vec<u8>) -> io::Result<()> {
        self.bytes += record.len();
        self.held.push((index, record));
        if self.bytes > HELD { self.write_run() } else { Ok(()) }
    }

    fn write_run(&mut self) -> io::Result<()> {
        self.held.sort_by_key(|(index, _)| *index);
        let path = self.folder.join(format!("run-{}", self.runs.len()));
        let file = File::options().read(true).write(true).create_new(true).open(path)?;
        let mut writer = BufWriter::new(file);
        for (index, record) in self.held.drain(..) {
            writer.write_all(&index.to_le_bytes())?;
            writer.write_all(&(record.len() as u64).to_le_bytes())?;
            writer.write_all(&record)?;
        }
        let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        io::Seek::rewind(&mut file)?;
        self.runs.push(Run::Written(BufReader::new(file)));
        self.bytes = 0;
        Ok(())
    }

    /// All records in the order of their indices; of one index, in the order in which they came.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        self.held.sort_by_key(|(index, _)| *index);
        self.runs.push(Run::Held(self.held.into_iter()));
        let mut sorted = Sorted { runs: self.runs, next: BinaryHeap::new() };
        (0..sorted.runs.len()).try_for_each(|run| sorted.draw(run))?;
        Ok(sorted)
    }
}

/// Records in order: the merge of all runs, one record of each in memory.
pub(super) struct Sorted {
    runs: Vec<Run>,
    next: BinaryHeap<Reverse<(u64, usize, Vec<u8>)>>,
}

impl Sorted {
    /// The next record with its index.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let Some(Reverse((index, run, record))) = self.next.pop() else { return Ok(None) };
        self.draw(run)?;
        Ok(Some((index, record)))
    }

    /// The next record, if it has this index.
    pub(super) fn next_of(&mut self, index: u64) -> io::Result<Option<Vec<u8>>> {
        let is_due = self.next.peek().is_some_and(|Reverse((next, ..))| *next == index);
        if is_due { Ok(self.next()?.map(|(_, record)| record)) } else { Ok(None) }
    }

    fn draw(&mut self, run: usize) -> io::Result<()> {
        let drawn = match &mut self.runs[run] {
            Run::Held(records) => records.next(),
            Run::Written(file) => read_record(file)?,
        };
        self.next.extend(drawn.map(|(index, record)| Reverse((index, run, record))));
        Ok(())
    }
}

fn read_record(file: &mut BufReader<File>) -> io::Result<Option<(u64, Vec<u8>)>> {
    let Some(index) = read_number(file)? else { return Ok(None) };
    let len = read_number(file)?.ok_or(ErrorKind::UnexpectedEof)?;
    let mut record = Vec::new();
    let read = file.take(len).read_to_end(&mut record)?;
    if read as u64 == len { Ok(Some((index, record))) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn read_number(file: &mut BufReader<File>) -> io::Result<Option<u64>> {
    let mut bytes = [0; 8];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(u64::from_le_bytes(bytes))),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::Sorter;
    use tempfile::TempDir;

    #[test]
    fn what_does_not_fit_in_memory_comes_back_in_order_and_whole() {
        let folder = TempDir::new().unwrap();
        let mut sorter = Sorter::in_folder(folder.path().to_owned());
        // Three runs of 64 MiB, their indices interleaved, each index twice.
        for n in 0..400_u64 {
            let index = n * 7 % 200;
            sorter.push(index, vec![n as u8; 500_000]).unwrap();
        }
        assert!(std::fs::read_dir(folder.path()).unwrap().count() >= 2);
        let mut sorted = sorter.sorted().unwrap();
        for index in 0..200 {
            for _ in 0..2 {
                let record = sorted.next_of(index).unwrap().unwrap();
                assert_eq!(record.len(), 500_000);
            }
            assert_eq!(sorted.next_of(index).unwrap(), None);
        }
        assert!(sorted.next().unwrap().is_none());
    }
}
