//! A Fetch of which every task failed has failed.

use super::*;

impl Scene {
    /// Adds a task with this directory.
    fn add(&mut self, name: &str, directory: &str) {
        let directories = vec![directory.into()];
        let first = self.options.tasks[0].clone();
        self.options.tasks.push(FetchTask { name: name.to_owned(), directories, ..first });
    }
}

#[test]
fn an_action_fails_only_if_all_its_tasks_do() {
    let mut scene = Scene::new();
    scene.put("a", "1");
    scene.add("Dir2", "/no/two");
    scene.add("Dir3", "/no/three");
    let report = scene.run().unwrap();
    let names: Vec<_> = report[2].nodes().iter().map(|task| &*task.name).collect();
    assert_eq!(names, ["success", "failed", "failed"]);

    fs::rename(scene.path(""), scene.directory.path().join("away")).unwrap();
    let (why, kept) = scene.failed();
    for part in ["all 3 tasks failed: DIR1: directory ", "; DIR2: directory /no/two: ", "; DIR3: "]
    {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert_eq!(kept.len(), 3);
    let failed = kept[2].nodes();
    assert_eq!(failed.len(), 3);
    for (task, name) in failed.iter().zip(["DIR1", "DIR2", "DIR3"]) {
        assert_eq!((&*task.name, &task.content), ("failed", &Node::text("", name).content));
        let reason = format!("{name}: {}", task.attributes[0].1);
        assert!(why.contains(&reason), "{reason}: {why}");
    }

    scene.options.tasks.drain(1..);
    let why = scene.failed().0;
    assert!(why.starts_with("task DIR1: directory "), "{why}");
    scene.options.tasks.clear();
    assert!(scene.run().unwrap()[2].nodes().is_empty());
}

#[test]
fn the_reasons_of_very_many_tasks_are_not_all_told() {
    let mut scene = Scene::new();
    fs::remove_dir(scene.path("")).unwrap();
    for i in 2..=30 {
        scene.add(&format!("Dir{i}"), "/no/such");
    }
    let (why, kept) = scene.failed();
    assert!(why.contains("all 30 tasks failed") && why.ends_with("; and 20 more"), "{why}");
    assert!(why.contains("DIR10: ") && !why.contains("DIR11: "), "{why}");
    assert_eq!(kept[2].nodes().len(), 30);
}

#[test]
fn a_warning_stands_beside_the_result_from_the_beginning() {
    let mut scene = Scene::new();
    scene.put("a", "1");
    let fetch = Fetch::new(scene.options.clone());
    let chosen = fetch.0.choose(&Parameters::default()).unwrap();
    let warning = Node::text("warning", "so it is");
    let report = run(
        &scene.options,
        &chosen,
        Some(warning.clone()),
        &mut scene.sink,
        &scene.witness,
        |_| Ok(()),
    );
    assert_eq!(report.unwrap()[3..], *std::slice::from_ref(&warning));
    assert!(scene.witness.partial.borrow().iter().all(|partial| partial[3] == warning));
}
