use std::fmt;
use std::pin::Pin;
use std::rc::Rc;

/// Who asked for answers and may end them: asked between two tokens whether to go on.
#[derive(Clone)]
pub struct Caller(Rc<dyn Fn() -> GoesOn>);

type GoesOn = Pin<Box<dyn Future<Output = bool>>>;

impl Caller {
    pub fn new(goes_on: impl Fn() -> GoesOn + 'static) -> Caller {
        Caller(Rc::new(goes_on))
    }

    pub async fn goes_on(&self) -> bool {
        (self.0)().await
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}
