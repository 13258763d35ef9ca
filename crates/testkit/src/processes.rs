//! Processes of others: they are ended, stopped and started with all that came
//! from them.

use std::process::{Child, Command};

use rustix::process::{Pid, Signal, kill_process};

use crate::tools::wait_until;

/// Process ids of those that a process has begun itself.
pub(crate) fn children_of(process: u32) -> Vec<u32> {
    let parent = process.to_string();
    let all = std::fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            // Behind the name, which may hold anything: state, parent.
            let after_name = stat.rsplit(") ").next().unwrap_or_default();
            after_name.split(' ').nth(1) == Some(&parent)
        })
        .collect()
}

/// Sends a signal to a process, unless it has just ended.
pub(crate) fn signal(process: u32, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).unwrap();
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => {}
        Err(error) => panic!("kill: {error}"),
    }
}

/// Stops a process; when this returns, none of its threads does anything.
pub(crate) fn freeze(process: u32) {
    signal(process, Signal::STOP);
    wait_until("every thread stands still", 10, || {
        let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
        let stands = |entry: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
            let after_name = stat.rsplit(") ").next()?.to_owned();
            Some(matches!(after_name.chars().next(), Some('T' | 'Z' | 'X')))
        };
        let all = threads.map(stands).all(|stands| stands.unwrap_or(true));
        all.then_some(())
    });
}

/// A server of others that can end and come back. It is ended when this is
/// dropped.
pub struct Server {
    launch: Box<dyn Fn() -> Command + Send + Sync>,
    /// How it is asked to end at once without leaving anything behind.
    ends_by: Signal,
    child: Option<Child>,
}

impl Server {
    /// Starts what `launch` says, now and each time that it comes back.
    pub(crate) fn start(
        launch: impl Fn() -> Command + Send + Sync + 'static,
        ends_by: Signal,
    ) -> Self {
        let mut server = Self {
            launch: Box::new(launch),
            ends_by,
            child: None,
        };
        server.comes_back();
        server
    }

    /// Started again on the same data; whoever needs it waits until it answers.
    pub fn comes_back(&mut self) {
        let mut command = (self.launch)();
        let program = command.get_program().to_owned();
        let child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "{} did not start ({error}): run `make test-deps`",
                program.display()
            )
        });
        self.child = Some(child);
    }

    /// `kill -9`, as if the machine had gone: of its children as well.
    pub fn is_killed(&mut self) {
        let Some(mut child) = self.child.take() else {
            return;
        };
        let family = children_of(child.id());
        child.kill().unwrap();
        for member in family {
            signal(member, Signal::KILL);
        }
        child.wait().unwrap();
    }

    /// Stands still with its children: it has its connections and says nothing.
    pub fn freezes(&self) {
        let Some(child) = &self.child else { return };
        // Itself first, so that it begins no others meanwhile.
        freeze(child.id());
        children_of(child.id()).into_iter().for_each(freeze);
    }

    /// Goes on where it stood still.
    pub fn goes_on(&self) {
        let Some(child) = &self.child else { return };
        signal(child.id(), Signal::CONT);
        for member in children_of(child.id()) {
            signal(member, Signal::CONT);
        }
    }

    /// Its process, while it runs.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Who stands still hears nothing.
        self.goes_on();
        let Some(mut child) = self.child.take() else {
            return;
        };
        signal(child.id(), self.ends_by);
        let _ended = child.wait();
    }
}
