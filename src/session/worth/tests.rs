use super::*;
use crate::data::{Message, RowContent, Task, question};
use crate::eval::worth::Way;
use crate::recipe::BaseDtype;
use crate::session::Limits;
use crate::weights::ByteSource;
use crate::weights::source::FileSource;
use burn::tensor::Device;
use pollster::block_on;
use serde_json::json;

/// A session with the bundled model and some rows.
fn session(rows: &str, recipe: &Recipe) -> Session {
    let folder = format!("{}/www/public/models/tiny", env!("CARGO_MANIFEST_DIR"));
    let files = std::fs::read_dir(folder).unwrap();
    let files =
        files.map(|file| Box::new(FileSource::open(file.unwrap().path()).unwrap()) as Box<dyn ByteSource>);
    let mut session = Session::new(Device::flex(), Limits::default());
    session.open_model(files.collect(), "tiny", BaseDtype::Auto, &|_, _| {}).unwrap();
    session.open_data("rows.jsonl", rows.as_bytes(), recipe).unwrap();
    session
}

/// Each asks for another cat, and all are answered alike.
fn cats() -> String {
    let row = |cat: usize| json!({ "prompt": format!("Where is cat number {cat}?"), "completion": "The cat sleeps on the roof." });
    (0..24).map(|cat| row(cat).to_string() + "\n").collect()
}

fn recipe(held_out: f64) -> Recipe {
    Recipe::from_json(&json!({
        "train": { "max_steps": 12, "learning_rate": 5e-3, "batch_size": 8, "max_seq_length": 96 },
        "eval": { "validation_fraction": held_out, "probe": false },
    }))
    .unwrap()
}

fn measured(session: &mut Session, recipe: &Recipe) -> Worth {
    block_on(session.worth(&WorthRequest::default(), recipe, async |_, _| Ok(true))).unwrap()
}

fn figure(worth: &Worth, way: Way, name: &str) -> f64 {
    let way = worth.ways.iter().find(|found| found.way == way).unwrap();
    way.figures.iter().find(|figure| figure.name == name).unwrap().value
}

const WORDS: &str = "words as in the row";
const LOSS: &str = "loss per answer token";

#[test]
fn held_out_rows_are_asked_in_every_way_and_training_shows() {
    let recipe = recipe(0.4);
    let mut session = session(&cats(), &recipe);
    let before = measured(&mut session, &recipe);
    let ways = |worth: &Worth| worth.ways.iter().map(|way| way.way).collect::<Vec<_>>();
    assert_eq!(ways(&before), [Way::Base, Way::Examples]);
    assert!(before.sentence.ends_with("nothing is trained yet that could do better."), "{}", before.sentence);

    session.begin(&recipe).unwrap();
    while !session.trainer.as_ref().unwrap().finished() {
        block_on(session.steps(4)).unwrap();
    }
    let worth = measured(&mut session, &recipe);
    assert_eq!(ways(&worth), [Way::Base, Way::Examples, Way::Tuned]);
    assert_eq!((worth.rows, worth.held_out, worth.examples, worth.stopped), (10, 10, 4, false));
    assert_eq!(
        worth.ways[..2].iter().map(|way| way.prompt_tokens).collect::<Vec<_>>(),
        before.ways.iter().map(|way| way.prompt_tokens).collect::<Vec<_>>()
    );
    assert_eq!(figure(&worth, Way::Base, WORDS), figure(&before, Way::Base, WORDS));
    let [base, examples, tuned] = &worth.ways[..] else { panic!() };
    assert!(
        examples.prompt_tokens > 3.0 * base.prompt_tokens,
        "{} and {}",
        examples.prompt_tokens,
        base.prompt_tokens
    );
    assert_eq!(tuned.prompt_tokens, base.prompt_tokens);
    assert!(figure(&worth, Way::Tuned, WORDS) > figure(&worth, Way::Base, WORDS) + 0.3, "{}", worth.sentence);
    assert!(figure(&worth, Way::Tuned, LOSS) < 0.5 * figure(&worth, Way::Base, LOSS), "{:?}", worth.ways);
    assert!(
        worth
            .answers
            .iter()
            .all(|row| row.given.len() == 3 && row.question.starts_with("Where is cat number"))
    );
    assert!(worth.ways.iter().all(|way| way.seconds > 0.0));

    // No row that was trained is asked, and none that is held out is an example.
    let lines = |examples: &[crate::data::Example]| {
        examples.iter().map(|example| example.row + 1).collect::<Vec<_>>()
    };
    let trainer = session.trainer.as_ref().unwrap();
    let (trained, held_out) = (lines(&trainer.train), lines(&trainer.validation));
    assert!(worth.answers.iter().all(|row| held_out.contains(&row.line) && !trained.contains(&row.line)));
    let split = session.split_rows(&recipe).unwrap();
    assert!(split.training.iter().all(|row| trained.contains(&(row + 1))));

    // The run's own recipe tells which rows are held out, not the one at hand.
    let other = self::recipe(0.1);
    let again = measured(&mut session, &other);
    assert_eq!(again.answers, worth.answers);
    // Another file has other rows.
    session.open_data("other.jsonl", cats().replace("cat", "dog").as_bytes(), &recipe).unwrap();
    let error =
        block_on(session.worth(&WorthRequest::default(), &recipe, async |_, _| Ok(true))).unwrap_err();
    assert!(error.to_string().contains("open the run's data again"), "{error}");
}

#[test]
fn who_stops_has_the_rows_that_are_done() {
    let recipe = recipe(0.4);
    let mut session = session(&cats(), &recipe);
    let stopped = block_on(session.worth(&WorthRequest::default(), &recipe, async |_, _| Ok(false)));
    assert!(matches!(stopped, Err(Error::Stopped)));
    let mut told = Vec::new();
    let go_on = async |done, total| {
        told.push((done, total));
        Ok(done < 5)
    };
    let worth = block_on(session.worth(&WorthRequest { rows: 6, examples: 2 }, &recipe, go_on)).unwrap();
    assert_eq!((worth.rows, worth.held_out, worth.examples, worth.stopped), (2, 10, 2, true));
    assert_eq!(worth.answers.len(), 2);
    assert!(told.iter().all(|&(_, total)| total == 12) && told.iter().is_sorted(), "{told:?}");
}

#[test]
fn without_held_out_rows_one_is_told_what_to_do() {
    let recipe = recipe(0.0);
    let mut session = session(&cats(), &recipe);
    let error =
        block_on(session.worth(&WorthRequest::default(), &recipe, async |_, _| Ok(true))).unwrap_err();
    assert_eq!(error.key(), Some("eval.validation_fraction"));
    assert!(error.to_string().contains("set it to 0.1"), "{error}");
    let few = self::recipe(0.1);
    let worth = measured(&mut session, &few);
    assert_eq!(worth.rows, 2);
    assert!(
        worth.notes.iter().any(|note| note.starts_with("2 held-out rows are a hint")),
        "{:?}",
        worth.notes
    );
}

#[test]
fn texts_and_classes_are_compared_without_questions() {
    let texts: String = (0..20)
        .map(|line| json!({ "text": format!("Mia has {line} apples in a box.") }).to_string() + "\n")
        .collect();
    let recipe = recipe(0.3);
    let worth = measured(&mut session(&texts, &recipe), &recipe);
    assert_eq!((worth.ways.len(), worth.rows), (1, 6));
    assert_eq!(worth.ways[0].figures[0].name, "loss per token");

    let class = |line: usize| {
        let label = ["glad", "sad"][line % 2];
        json!({ "text": format!("Mia is {label} today, {line}."), "label": label }).to_string() + "\n"
    };
    let classes: String = (0..20).map(class).collect();
    let recipe = Recipe { objective: Objective::Classify, ..recipe };
    let worth = measured(&mut session(&classes, &recipe), &recipe);
    assert_eq!((worth.ways.len(), worth.ways[0].figures[0].name.as_str()), (1, "accuracy"));
    assert!(
        worth.notes.iter().any(|note| note.contains("takes no examples in its prompt")),
        "{:?}",
        worth.notes
    );
}

#[test]
fn examples_are_turns_before_the_question_and_its_answer_alone_is_a_target() {
    let session = session(&cats(), &recipe(0.4));
    let tokenizer = &session.model().unwrap().tokenizer;
    let pair = |prompt: &str, completion: &str| RowContent::Pair {
        system: None,
        prompt: prompt.into(),
        completion: completion.into(),
    };
    let (own, example) = (pair("Who is Pip?", "Pip is a cat."), pair("Who is Mia?", "Mia is a girl."));
    let asked = question(&own, &[&example], tokenizer, 512).unwrap().unwrap();
    let turns = ["Who is Mia?", "Mia is a girl.", "Who is Pip?"];
    let turns: Vec<Message> = turns
        .iter()
        .zip(["user", "assistant", "user"])
        .map(|(text, role)| Message::new(role, *text))
        .collect();
    assert_eq!(asked.prompt, tokenizer.encode_chat(&turns, true).unwrap());
    let answered = asked.answered.unwrap();
    assert_eq!(answered.input_ids[..asked.prompt.len()], asked.prompt);
    let begin = answered.loss_mask.iter().position(|&target| target).unwrap();
    assert_eq!(begin, asked.prompt.len());
    assert!(answered.loss_mask[begin..].iter().all(|&target| target));
    assert_eq!(
        asked.task,
        Task {
            prompt: vec![Message::new("user", "Who is Pip?")],
            tools: Vec::new(),
            answer: Some("Pip is a cat.".into())
        }
    );
    // A system message stands once, at the beginning; a turn that is marked as context is no answer.
    let context = Message { context_only: true, ..Message::new("assistant", "Fine.") };
    let messages = vec![
        Message::new("system", "Be brief."),
        Message::new("user", "Hello"),
        Message::new("assistant", "Hi."),
        Message::new("user", "And?"),
        context,
    ];
    let chat = RowContent::Chat { messages, prompt_messages: 0, tools: Vec::new() };
    let asked = question(&chat, &[&chat], tokenizer, 512).unwrap().unwrap();
    assert_eq!(asked.task.answer.as_deref(), Some("Hi."));
    let turns = [("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi."), ("user", "Hello")];
    let turns: Vec<Message> = turns.iter().map(|(role, text)| Message::new(*role, *text)).collect();
    assert_eq!(asked.prompt, tokenizer.encode_chat(&turns, true).unwrap());
    // What does not fit, and what asks nothing.
    assert!(question(&own, &[&example], tokenizer, 20).unwrap().is_none());
    assert!(question(&RowContent::Text("Pip.".into()), &[], tokenizer, 512).unwrap().is_none());
}
