// Looks whether the pupil's model has learned the name, as a platform would for its book of marks.
const trainer = document.querySelector('loralet-trainer');
trainer.addEventListener('loralet-finish', async () => {
  const answer = await trainer.ask('Who is Ozzy?');
  const hasLearned = /goat/.test(answer);
  document.querySelector('#result').textContent = hasLearned
    ? 'Done: the model knows who Ozzy is.'
    : `It answers "${answer}". Train it once more.`;
  parent.postMessage({ unit: 1, hasLearned }, '*');
});
