//! One file a command.

mod bench;
mod build;
mod compare;
mod convert;
mod demo;
mod eval;
mod fixtures;
mod generate;
mod graduate;
mod interop;
mod package;
mod serve;
mod sweep;
mod test;
mod train;

use clap::{Args, Subcommand, ValueEnum};

use crate::error::Result;

#[derive(Subcommand)]
pub enum Command {
    /// Set everything up, fine-tune the default model on the sample data, show the answer changing
    Demo(demo::Demo),
    /// Set everything up and run every check there is
    Test(test::Test),
    /// The page as it ships, for any static host
    Build(build::Build),
    /// The npm package with the element `<loralet-trainer>`, in out/npm, and the page and its documentation for any static host, in out/site
    Package(package::Package),
    /// The page on localhost
    Serve(serve::Serve),
    /// Fine-tune a model on a data file
    Train(train::Train),
    /// Answer a prompt
    Generate(generate::Generate),
    /// Measure a model on a data file; prints one JSON object
    Eval(eval::Eval),
    /// Train with LoRA and whole on the same data, and print what each takes and reaches
    Compare(compare::Compare),
    /// Train with several values of some settings, and rank the runs by their validation loss
    Sweep(sweep::Sweep),
    /// Write an adapter, or a model with it merged in, in the format of another tool
    Convert(convert::Convert),
    /// Write a run as a Python project that goes on with it on one GPU or many, with TRL and Accelerate
    Graduate(graduate::Graduate),
    /// Measure step time, memory, load time and sizes
    Bench(bench::Bench),
    /// Open what was trained in the browser with PEFT, llama.cpp, mlx-lm, TRL and others, and compare
    Interop(interop::Interop),
    /// Write the tests' reference files anew with PyTorch, transformers and PEFT
    Fixtures(fixtures::Fixtures),
}

impl Command {
    pub fn run(self) -> Result<()> {
        match self {
            Command::Demo(demo) => demo.run(),
            Command::Test(test) => test.run(),
            Command::Build(build) => build.run(),
            Command::Package(package) => package.run(),
            Command::Serve(serve) => serve.run(),
            Command::Train(train) => train.run(),
            Command::Generate(generate) => generate.run(),
            Command::Eval(eval) => eval.run(),
            Command::Compare(compare) => compare.run(),
            Command::Sweep(sweep) => sweep.run(),
            Command::Convert(convert) => convert.run(),
            Command::Graduate(graduate) => graduate.run(),
            Command::Bench(bench) => bench.run(),
            Command::Interop(interop) => interop.run(),
            Command::Fixtures(fixtures) => fixtures.run(),
        }
    }
}

/// Where the browser computes.
#[derive(Clone, Copy, ValueEnum, PartialEq, Eq)]
enum Device {
    /// A real GPU through WebGPU if there is one, the CPU otherwise
    Auto,
    /// WebGPU, on a software adapter if there is no other
    Webgpu,
    Cpu,
}

impl Device {
    fn name(self) -> &'static str {
        match self {
            Device::Auto => "auto",
            Device::Webgpu => "webgpu",
            Device::Cpu => "cpu",
        }
    }
}

/// Which model, and where it runs.
#[derive(Args)]
struct ModelArguments {
    /// A .gguf file, a folder with config.json, tokenizer.json and *.safetensors, `smollm2`, `minilm` or `tiny`
    #[arg(long, value_name = "FILE|FOLDER|NAME")]
    model: String,
    /// Where to compute [default: the recipe's, otherwise auto]
    #[arg(long)]
    device: Option<Device>,
}

/// What and how to train, beside the model.
#[derive(Args)]
struct RecipeArguments {
    /// A recipe as JSON; fields left out have their defaults
    #[arg(long, value_name = "FILE")]
    recipe: Option<std::path::PathBuf>,
    /// A field of the recipe, such as train.max_steps=20; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// How strong an adapter is.
#[derive(Args)]
struct StrengthArgument {
    /// The adapter at so many times its strength, from 0, the base, to 2
    #[arg(long, value_name = "S", default_value_t = 1.0, value_parser = strength)]
    strength: f64,
}

fn strength(text: &str) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=2.0).contains(number));
    number.ok_or_else(|| "it must be a number from 0 to 2".into())
}

/// The device asked for on the command line, or in the recipe.
fn device_name(asked: Option<Device>, recipe: &serde_json::Value) -> String {
    let in_recipe = recipe["device"].as_str().unwrap_or("auto");
    asked.map_or(in_recipe, |device| device.name()).to_string()
}
