//! The Rhai language as a WebAssembly module. The host writes a request (JSON) into memory from `allocate` and calls
//! `run`; the answer (JSON) says what the script's value is, or why it failed. The module imports two functions of
//! its host, `print` and `out_of_memory`, and can do nothing else: no file, no network, no clock, no randomness.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;

use rhai::{Array, Dynamic, Engine, EvalAltResult, ParseErrorType, Position, Scope};
use serde_json::{json, Map, Value};

mod host {
    #[link(wasm_import_module = "host")]
    extern "C" {
        pub fn print(text: *const u8, length: usize);
        /// Throws in the host, so that a script without memory is told from a fault of the engine.
        pub fn out_of_memory() -> !;
    }
}

/// Depths that the module's stack of 4 MiB has room for, with a margin.
const CALL_LEVELS_MAX: usize = 64;
const EXPRESSION_DEPTH_MAX: usize = 64;
const FUNCTION_EXPRESSION_DEPTH_MAX: usize = 32;
/// Depth of a result; deeper ones are hard on every reader of JSON.
const RESULT_DEPTH_MAX: usize = 64;
/// Elements of an array and properties of an object map; memory is limited besides.
const ELEMENTS_MAX: usize = 100_000;
const NAMES_MAX: usize = 1_000;

struct Memory;

unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        given(System.alloc(layout))
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        System.dealloc(pointer, layout)
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        given(System.realloc(pointer, layout, size))
    }
}

fn given(pointer: *mut u8) -> *mut u8 {
    if pointer.is_null() {
        unsafe { host::out_of_memory() }
    }
    pointer
}

#[global_allocator]
static MEMORY: Memory = Memory;

/// Memory for a request of this length.
#[no_mangle]
pub extern "C" fn allocate(length: usize) -> *mut u8 {
    Box::leak(vec![0_u8; length].into_boxed_slice()).as_mut_ptr()
}

/// Takes a request from `allocate`; returns the address of the answer in the upper half and its length in the lower.
///
/// # Safety
/// `request` and `length` are those of one call of `allocate`.
#[no_mangle]
pub unsafe extern "C" fn run(request: *mut u8, length: usize) -> u64 {
    let request = Box::from_raw(std::ptr::slice_from_raw_parts_mut(request, length));
    let answer = Box::leak(answer(&request).into_boxed_slice());
    ((answer.as_ptr() as u64) << 32) | answer.len() as u64
}

struct Failure {
    kind: &'static str,
    message: String,
    position: Position,
}

impl Failure {
    fn limit(message: String) -> Self {
        Failure { kind: "limit", message, position: Position::NONE }
    }
}

fn answer(request: &[u8]) -> Vec<u8> {
    match serde_json::from_slice::<Value>(request) {
        Ok(request) => evaluate(&request).unwrap_or_else(|failure| {
            let Failure { kind, message, position } = failure;
            let (line, column) = (position.line(), position.position());
            let error = json!({ "kind": kind, "message": message, "line": line, "column": column });
            json!({ "error": error }).to_string().into_bytes()
        }),
        Err(error) => panic!("the request is not JSON: {error}"),
    }
}

fn evaluate(request: &Value) -> Result<Vec<u8>, Failure> {
    let code = request["code"].as_str().unwrap_or_default();
    let operations_max = request["operations_max"].as_u64().unwrap_or(1);
    let string_bytes_max = request["string_bytes_max"].as_u64().unwrap_or(1) as usize;
    let mut engine = limited(operations_max, string_bytes_max);
    for (name, value) in entries(&request["functions"]) {
        let value = to_dynamic(value);
        engine.register_fn(name.as_str(), move || value.clone());
    }
    let mut scope = Scope::new();
    for (name, value) in entries(&request["constants"]) {
        scope.push_constant_dynamic(name.as_str(), to_dynamic(value));
    }
    let script = engine.compile_with_scope(&scope, code).map_err(|error| {
        let kind = kind_of_parse_error(error.err_type());
        Failure { kind, message: error.err_type().to_string(), position: error.position() }
    })?;
    let value = engine.eval_ast_with_scope::<Dynamic>(&mut scope, &script).map_err(failure_of)?;
    to_answer(&value, string_bytes_max)
}

/// An engine whose scripts can neither make code from text nor grow without bound.
fn limited(operations_max: u64, string_bytes_max: usize) -> Engine {
    let mut engine = Engine::new();
    engine
        .set_max_operations(operations_max)
        .set_max_string_size(string_bytes_max)
        .set_max_array_size(ELEMENTS_MAX)
        .set_max_map_size(ELEMENTS_MAX)
        .set_max_call_levels(CALL_LEVELS_MAX)
        .set_max_expr_depths(EXPRESSION_DEPTH_MAX, FUNCTION_EXPRESSION_DEPTH_MAX)
        .set_max_variables(NAMES_MAX)
        .set_max_functions(NAMES_MAX)
        .disable_symbol("eval")
        .on_print(print)
        .on_debug(|text, _, position| match position.line() {
            Some(_) => print(&format!("{position:?} | {text}")),
            None => print(text),
        });
    // Rhai's own need a clock, and panic without one.
    engine.register_fn("sleep", |_: i64| no_sleep()).register_fn("sleep", |_: f64| no_sleep());
    engine
}

fn no_sleep() -> Result<(), Box<EvalAltResult>> {
    Err("a script cannot sleep".into())
}

fn print(text: &str) {
    unsafe { host::print(text.as_ptr(), text.len()) }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn to_dynamic(value: &Value) -> Dynamic {
    rhai::serde::to_dynamic(value).expect("every JSON value is a value of Rhai")
}

fn failure_of(error: Box<EvalAltResult>) -> Failure {
    let mut error = *error;
    let mut position = error.position();
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) = error {
        error = *inner;
        if !error.position().is_none() {
            position = error.position();
        }
    }
    error.clear_position();
    let kind = match &error {
        EvalAltResult::ErrorTooManyOperations(..)
        | EvalAltResult::ErrorTooManyVariables(..)
        | EvalAltResult::ErrorDataTooLarge(..)
        | EvalAltResult::ErrorStackOverflow(..) => "limit",
        EvalAltResult::ErrorParsing(error, _) => kind_of_parse_error(error),
        _ => "script",
    };
    Failure { kind, message: error.to_string(), position }
}

fn kind_of_parse_error(error: &ParseErrorType) -> &'static str {
    match error {
        ParseErrorType::ExprTooDeep
        | ParseErrorType::TooManyFunctions
        | ParseErrorType::LiteralTooLarge(..) => "limit",
        _ => "script",
    }
}

fn to_answer(value: &Dynamic, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    if !is_within_depth(value, RESULT_DEPTH_MAX) {
        return Err(Failure::limit(format!("The result nests deeper than {RESULT_DEPTH_MAX} levels")));
    }
    let mut writer = Bounded { bytes: br#"{"result":"#.to_vec(), bytes_max };
    match serde_json::to_writer(&mut writer, value) {
        Ok(()) => {
            writer.bytes.push(b'}');
            Ok(writer.bytes)
        }
        Err(error) if error.is_io() => {
            Err(Failure::limit(format!("The result is longer than {bytes_max} bytes as JSON")))
        }
        Err(error) => Err(Failure {
            kind: "script",
            message: format!("The result has no form in JSON: {error}"),
            position: Position::NONE,
        }),
    }
}

/// Also ends for a value that contains itself, which closures can make.
fn is_within_depth(value: &Dynamic, depth: usize) -> bool {
    if let Some(array) = value.read_lock::<Array>() {
        return depth > 0 && array.iter().all(|each| is_within_depth(each, depth - 1));
    }
    match value.read_lock::<rhai::Map>() {
        Some(map) => depth > 0 && map.values().all(|each| is_within_depth(each, depth - 1)),
        None => true,
    }
}

/// Collects at most this many bytes.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + more.len() > self.bytes_max {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
