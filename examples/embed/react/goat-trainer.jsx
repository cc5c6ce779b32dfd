import { useEffect, useRef, useState } from 'react';
import 'loralet/element';

const RECIPE = { train: { max_steps: 60, learning_rate: 0.002 } };
const PROMPTS = ['Who is Ozzy?', 'Where does Ozzy live?'];

/** A trainer, and a sentence of our own beside it that follows its steps. */
export function GoatTrainer() {
  const element = useRef(null);
  const [last, setLast] = useState(null);
  const [answer, setAnswer] = useState('');

  useEffect(() => {
    const trainer = element.current;
    const step = ({ detail }) => setLast(detail);
    const finish = async () => setAnswer(await trainer.ask('Who is Ozzy?'));
    trainer.addEventListener('loralet-step', step);
    trainer.addEventListener('loralet-finish', finish);
    return () => {
      trainer.removeEventListener('loralet-step', step);
      trainer.removeEventListener('loralet-finish', finish);
    };
  }, []);

  return (
    <>
      <loralet-trainer
        ref={element}
        model="tiny"
        data="./goat.jsonl"
        recipe={RECIPE}
        prompts={PROMPTS}
        views="train"
      />
      <p id="progress">
        {last
          ? `After step ${last.step} of ${last.total_steps} the loss is ${last.loss.toFixed(2)}.`
          : 'Not trained yet.'}
      </p>
      <p id="answer">{answer}</p>
    </>
  );
}
