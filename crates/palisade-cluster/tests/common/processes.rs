//! Schedulers and executors as processes that end with the test, however it ends.
#![allow(dead_code, reason = "the benchmark uses a part")]
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The program: cargo names it to tests, and builds it next to the folder of examples.
pub fn binary() -> PathBuf {
    match option_env!("CARGO_BIN_EXE_palisade-cluster") {
        Some(path) => PathBuf::from(path),
        None => {
            let own = std::env::current_exe().unwrap();
            own.ancestors().nth(2).unwrap().join("palisade-cluster")
        }
    }
}

/// A process that is killed with this value; should the test itself be killed, its end of the pipe closes and the
/// process ends by itself.
pub struct Process {
    child: Child,
    /// What it says on the standard output must be nothing.
    stdout: PathBuf,
    /// `host:port`
    pub address: String,
}

impl Process {
    /// Starts it and waits until it says where it listens.
    pub fn start(
        folder: &Path,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let stdout = folder.join(format!("{name}.stdout"));
        let mut child = Command::new(binary())
            .args(arguments)
            .envs(environment.iter().copied())
            .env("PALISADE_CLUSTER_LEASH", "1")
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&stdout).unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, said) = mpsc::channel();
        let label = name.to_owned();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                match line.split_once(" on ") {
                    Some(("scheduler" | "executor", address)) => {
                        let _ = sender.send(address.to_owned());
                    }
                    _ => eprintln!("[{label}] {line}"),
                }
            }
        });
        let address = said.recv_timeout(Duration::from_secs(120));
        let mut process = Self {
            child,
            stdout,
            address: String::new(),
        };
        process.address = address.unwrap_or_else(|_| panic!("{name} did not start"));
        process
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.stdout).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A scheduler and its executors.
pub struct Running {
    pub executors: Vec<Process>,
    pub scheduler: Process,
}

impl Running {
    pub fn start(
        folder: &Path,
        executors: usize,
        catalog: Option<&Path>,
        environment: &[(&str, &str)],
    ) -> Self {
        let arguments = ["scheduler", "--bind", "127.0.0.1:0", "--silence", "11"];
        let scheduler = Process::start(folder, "scheduler", &arguments, environment);
        let catalog = catalog.map(|c| c.to_str().unwrap());
        let executors = (0..executors)
            .map(|number| {
                let work = folder.join(format!("work-{number}"));
                let mut arguments = vec![
                    "executor",
                    "--scheduler",
                    &scheduler.address,
                    "--bind",
                    "127.0.0.1:0",
                    "--concurrent-tasks",
                    "2",
                    "--work-dir",
                    work.to_str().unwrap(),
                ];
                if let Some(catalog) = catalog {
                    arguments.extend(["--catalog", catalog]);
                }
                Process::start(
                    folder,
                    &format!("executor-{number}"),
                    &arguments,
                    environment,
                )
            })
            .collect();
        Self {
            executors,
            scheduler,
        }
    }

    pub fn url(&self) -> String {
        format!("ballista://{}", self.scheduler.address)
    }

    pub fn said(&self) -> String {
        let all = std::iter::once(&self.scheduler).chain(&self.executors);
        all.map(Process::said).collect()
    }
}

/// Kills the executor that has work in its hands, and gives what came all the same.
pub fn without_one<T: Send>(
    folder: &Path,
    catalog: Option<&Path>,
    ask: impl FnOnce(String) -> T + Send,
) -> T {
    let held = folder.join("held");
    let environment = [("PALISADE_CLUSTER_HOLD", held.to_str().unwrap())];
    let mut running = Running::start(folder, 2, catalog, &environment);
    let url = running.url();
    std::thread::scope(|scope| {
        let asked = scope.spawn(move || ask(url));
        let until = Instant::now() + Duration::from_secs(300);
        let victim = loop {
            assert!(
                Instant::now() < until && !asked.is_finished(),
                "nobody took the work"
            );
            match std::fs::read_to_string(&held) {
                Ok(text) if text.ends_with('\n') => break text.trim().parse::<u32>().unwrap(),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let victim = running.executors.iter_mut().find(|e| e.id() == victim);
        victim.unwrap().kill();
        asked.join().unwrap()
    })
}
