//! Reads blobs through long-lived `git cat-file --batch` processes, one for each thread that reads.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError};

use super::program::Program;
use super::{GitError, ObjectId};

#[derive(Debug, Default)]
pub(super) struct CatFiles {
    idle: Mutex<Vec<CatFile>>,
}

#[derive(Debug)]
struct CatFile {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl CatFiles {
    /// Reads one blob.
    pub(super) fn blob(&self, program: &Program, id: ObjectId) -> Result<Vec<u8>, GitError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => CatFile::start(program)?,
        };
        if let Ok(Some(blob)) = reader.ask(id) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            return Ok(blob);
        }
        // A process for this one alone says in words what is wrong, such as a fetch that failed.
        program.local(["cat-file", "blob", &id.to_string()]).read(&[])
    }
}

impl CatFile {
    fn start(program: &Program) -> Result<Self, GitError> {
        let mut child = program.local(["cat-file", "--batch"]).converse()?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Ok(Self { child, questions, answers })
    }

    /// Asks `ID LF`; the answer is `ID blob SIZE LF`, the bytes, `LF`. `None` for any other answer.
    fn ask(&mut self, id: ObjectId) -> io::Result<Option<Vec<u8>>> {
        let questions = self.questions.as_mut().expect("open until it is dropped");
        questions.write_all(format!("{id}\n").as_bytes())?;
        questions.flush()?;
        let mut header = String::new();
        self.answers.read_line(&mut header)?;
        let size = header.trim_end().strip_prefix(&format!("{id} blob ")).and_then(|size| size.parse().ok());
        let Some(size) = size else { return Ok(None) };
        let mut blob = vec![0; size];
        self.answers.read_exact(&mut blob)?;
        self.answers.read_exact(&mut [0])?;
        Ok(Some(blob))
    }
}

impl Drop for CatFile {
    fn drop(&mut self) {
        // The end of its input ends the process; one that was in the middle of an answer is stopped.
        self.questions = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
