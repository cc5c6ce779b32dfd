/** The order of the documentation: its parts, and the files of `../docs` in each. */
export const CONTENTS = [
  { title: 'Begin', pages: ['README', 'should-you-fine-tune', 'data', 'recipe'] },
  {
    title: 'Understand',
    pages: ['objectives', 'overfitting', 'forgetting', 'adapters', 'lora-against-full', 'lessons'],
  },
  { title: 'Tasks', pages: ['judging', 'rlhf', 'embeddings', 'curation', 'experiments', 'elsewhere'] },
  { title: 'Put it into your page', pages: ['element', 'javascript', 'hosting'] },
  { title: 'What to rely on', pages: ['privacy', 'downloads', 'security', 'performance'] },
];
