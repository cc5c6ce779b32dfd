/** The settings as the page shows them: a name, one sentence, a kind. */

export interface Field {
  path: string;
  label: string;
  help: string;
  kind:
    'number' | 'integer' | 'optional_integer' | 'optional_text' | 'toggle' | 'select' | 'modules' | 'mapping';
  /** What an empty optional value means. */
  empty?: string;
  options?: { value: string; label: string }[];
}

export const MAIN_FIELDS: Field[] = [
  {
    path: 'train.learning_rate',
    label: 'Learning rate',
    help: 'How far each step moves the adapter: too high and the loss jumps about, too low and little is learned.',
    kind: 'number',
  },
  {
    path: 'train.epochs',
    label: 'Epochs',
    help: 'How many times the model sees every row; more than a few and it starts to recite them.',
    kind: 'number',
  },
  {
    path: 'train.max_steps',
    label: 'Max steps',
    help: 'Ends the run after this many steps whatever the epochs say; empty means no limit.',
    kind: 'optional_integer',
  },
  {
    path: 'lora.rank',
    label: 'Rank',
    help: 'How much the adapter can learn: 4–8 is enough for a style, 16–32 for facts.',
    kind: 'integer',
  },
  {
    path: 'train.batch_size',
    label: 'Batch size',
    help: 'Rows looked at together in one step: more gives steadier steps and takes more memory.',
    kind: 'integer',
  },
  {
    path: 'train.max_seq_length',
    label: 'Max sequence length',
    help: 'Rows longer than this many tokens are cut; memory and time grow with it.',
    kind: 'integer',
  },
];

export const MORE_FIELDS: Field[] = [
  {
    path: 'lora.alpha',
    label: 'Alpha',
    help: 'The adapter counts alpha ÷ rank times; twice the rank is the usual choice.',
    kind: 'number',
  },
  {
    path: 'lora.dropout',
    label: 'Dropout',
    help: 'Share of the adapter’s inputs switched off at random in training, against reciting small data.',
    kind: 'number',
  },
  {
    path: 'lora.target_modules',
    label: 'Target modules',
    help: 'The linear layers of every block that get an adapter; all together learn best.',
    kind: 'modules',
  },
  {
    path: 'lora.use_rslora',
    label: 'Rank-stabilised scale',
    help: 'Divides alpha by the root of the rank instead of the rank, so that high ranks still learn (rsLoRA).',
    kind: 'toggle',
  },
  {
    path: 'lora.use_dora',
    label: 'Train magnitudes too (DoRA)',
    help: 'Learns the size of each output apart from its direction: often a little better at low ranks, and slower.',
    kind: 'toggle',
  },
  {
    path: 'lora.loraplus_lr_ratio',
    label: 'Faster B (LoRA+)',
    help: 'How many times the learning rate the adapter’s second matrix gets: 1 is off, 16 is usual, often with a lower rate.',
    kind: 'number',
  },
  {
    path: 'data.train_on_prompt',
    label: 'Train on the prompt too',
    help: 'Counts the user’s words in the loss as well, not only the answer’s.',
    kind: 'toggle',
  },
  {
    path: 'data.max_rows',
    label: 'Rows used',
    help: 'Only so many rows from the beginning of the file; few rows are learned by heart quickly.',
    kind: 'optional_integer',
    empty: 'all',
  },
  {
    path: 'data.mapping',
    label: 'Columns',
    help: 'Which column of the file is what, where its names do not say: prompt=question, completion=reply.',
    kind: 'mapping',
    empty: 'by their names',
  },
  {
    path: 'data.fix',
    label: 'Rows mended',
    help: 'Changes to the rows before anything else, in the order in which they are chosen; the data report offers those that find something.',
    kind: 'modules',
    options: [
      { value: 'drop_duplicates', label: 'drop_duplicates' },
      { value: 'drop_near_duplicates', label: 'drop_near_duplicates' },
      { value: 'drop_outliers', label: 'drop_outliers' },
      { value: 'balance_labels', label: 'balance_labels' },
      { value: 'drop_other_languages', label: 'drop_other_languages' },
      { value: 'redact', label: 'redact' },
    ],
  },
  {
    path: 'data.general_fraction',
    label: 'General text mixed in',
    help: 'Share of the training rows that are general text and questions, so that the model forgets less; 0.1 to 0.3 is usual, 0 is off.',
    kind: 'number',
  },
  {
    path: 'train.kl_to_base',
    label: 'Held to the base (KL)',
    help: 'Weight of a penalty for predicting other tokens than the base would: more forgets less and learns less; 0 is off.',
    kind: 'number',
  },
  {
    path: 'train.packing',
    label: 'Packing',
    help: 'Puts several short rows into one sequence, each seeing only itself: less padding, fewer steps.',
    kind: 'toggle',
  },
  {
    path: 'train.lr_scheduler_type',
    label: 'Schedule',
    help: 'How the learning rate moves after the warm-up.',
    kind: 'select',
    options: [
      { value: 'linear', label: 'Linear to zero' },
      { value: 'cosine', label: 'Cosine to zero' },
      { value: 'constant_with_warmup', label: 'Constant after warm-up' },
      { value: 'constant', label: 'Constant' },
    ],
  },
  {
    path: 'train.warmup_ratio',
    label: 'Warm-up',
    help: 'Share of the steps over which the learning rate rises from zero.',
    kind: 'number',
  },
  {
    path: 'train.weight_decay',
    label: 'Weight decay',
    help: 'Pulls the adapter’s weights towards zero a little each step.',
    kind: 'number',
  },
  {
    path: 'train.max_grad_norm',
    label: 'Gradient clip',
    help: 'Gradients longer than this are shortened to it, so that one odd batch cannot spoil the run; 0 is off.',
    kind: 'number',
  },
  {
    path: 'train.gradient_accumulation_steps',
    label: 'Gradient accumulation',
    help: 'Batches added up before one step: a larger effective batch in the same memory.',
    kind: 'integer',
  },
  {
    path: 'base_dtype',
    label: 'Frozen weights',
    help: 'How they lie in memory, from the next opened model on: in the 4, 8 or 16 bits of their file they take a fifth to a half, and each step is a little slower.',
    kind: 'select',
    options: [
      { value: 'auto', label: 'As stored when they are large' },
      { value: 'f32', label: 'As 32-bit numbers' },
      { value: 'stored', label: 'As the file stores them' },
    ],
  },
  {
    path: 'train.gradient_checkpointing',
    label: 'Gradient checkpointing',
    help: 'Computes each block again in the backward pass instead of keeping what it computed: less memory, a quarter more time.',
    kind: 'select',
    options: [
      { value: 'auto', label: 'When a step would keep over 512 MiB' },
      { value: 'on', label: 'Always' },
      { value: 'off', label: 'Never' },
    ],
  },
  {
    path: 'train.fp16',
    label: '16-bit arithmetic',
    help: 'Multiplies with the frozen weights in 16 bits in the forward pass where the GPU can, which is a little less exact.',
    kind: 'toggle',
  },
  {
    path: 'objective',
    label: 'Objective',
    help: 'What the loss is; it follows from the data, and some leave a choice: pairs of answers can train DPO, ORPO, KTO or a reward model, and questions with answers GRPO.',
    kind: 'select',
    options: [
      { value: 'text', label: 'Text: every token' },
      { value: 'sft', label: 'SFT: the answers' },
      { value: 'dpo', label: 'DPO: pairs, against the base model' },
      { value: 'orpo', label: 'ORPO: pairs, without a reference' },
      { value: 'kto', label: 'KTO: rated answers' },
      { value: 'grpo', label: 'GRPO: answers of its own, by a reward' },
      { value: 'classify', label: 'Classify: the label of a text' },
      { value: 'reward', label: 'Reward model: pairs, a score an answer' },
      { value: 'contrastive', label: 'Contrastive: texts that belong together' },
    ],
  },
  {
    path: 'method',
    label: 'Method',
    help: 'LoRA trains an adapter beside the model; the last layer alone is transfer learning, quick and coarse; full moves every weight and wants a learning rate ten times lower.',
    kind: 'select',
    options: [
      { value: 'lora', label: 'LoRA adapter' },
      { value: 'last_layer', label: 'Last layer only' },
      { value: 'full', label: 'Full: every weight' },
    ],
  },
  {
    path: 'lora.modules_to_save',
    label: 'Trained whole',
    help: 'Modules trained and saved whole beside the adapter, for new words; a classifier’s head always is.',
    kind: 'modules',
    options: [
      { value: 'embed_tokens', label: 'embed_tokens' },
      { value: 'lm_head', label: 'lm_head' },
    ],
  },
  {
    path: 'preference.beta',
    label: 'Beta',
    help: 'For preference data: with DPO and KTO a larger beta stays closer to the base model.',
    kind: 'number',
  },
  {
    path: 'preference.loss_type',
    label: 'DPO loss',
    help: 'For pairs with DPO: IPO aims at a fixed margin, which guards against overdoing it.',
    kind: 'select',
    options: [
      { value: 'sigmoid', label: 'Sigmoid (DPO)' },
      { value: 'ipo', label: 'IPO' },
    ],
  },
  {
    path: 'preference.desirable_weight',
    label: 'Weight of liked answers',
    help: 'For KTO: how much the liked answers count; give more to the kind that is rarer.',
    kind: 'number',
  },
  {
    path: 'preference.undesirable_weight',
    label: 'Weight of disliked answers',
    help: 'For KTO: how much the disliked answers count; give more to the kind that is rarer.',
    kind: 'number',
  },
  {
    path: 'grpo.reward',
    label: 'Reward',
    help: 'For GRPO: what an answer earns; the model learns from those that earn more than its other answers to the same prompt, and for your own ratings each step waits for you.',
    kind: 'select',
    options: [
      { value: 'exact_match', label: 'The row’s answer, exactly' },
      { value: 'regex', label: 'A pattern is found in it' },
      { value: 'length', label: 'About so many words' },
      { value: 'reward_model', label: 'A reward model’s number' },
      { value: 'person', label: 'Your own rating' },
    ],
  },
  {
    path: 'grpo.pattern',
    label: 'Pattern',
    help: 'For GRPO with a pattern: the regular expression to find in a good answer, like ^Yes for answers that begin so.',
    kind: 'optional_text',
    empty: 'none',
  },
  {
    path: 'grpo.target_length',
    label: 'Words of an answer',
    help: 'For GRPO with a length: an answer of so many words earns 1, and less the further it is from that.',
    kind: 'integer',
  },
  {
    path: 'grpo.num_generations',
    label: 'Answers to a prompt',
    help: 'For GRPO: so many answers are sampled and compared with each other; more make steadier and slower steps.',
    kind: 'integer',
  },
  {
    path: 'grpo.max_completion_length',
    label: 'Longest answer',
    help: 'For GRPO: an answer is cut after so many tokens; sampling takes most of the time.',
    kind: 'integer',
  },
  {
    path: 'grpo.temperature',
    label: 'Sampling temperature',
    help: 'For GRPO: higher makes the answers differ more; where all earn the same there is nothing to learn.',
    kind: 'number',
  },
  {
    path: 'grpo.beta',
    label: 'Held to the base (GRPO)',
    help: 'For GRPO: weight of a penalty for answers that the base finds unlikely, against tricks that only please the reward; 0 is off.',
    kind: 'number',
  },
  {
    path: 'grpo.epsilon',
    label: 'Clip',
    help: 'For GRPO: how far a word’s probability may move, as a share, before an update stops following it.',
    kind: 'number',
  },
  {
    path: 'grpo.num_iterations',
    label: 'Steps on the same answers',
    help: 'For GRPO: more than 1 learns several times from answers before sampling new ones, which saves time.',
    kind: 'integer',
  },
  {
    path: 'grpo.loss_type',
    label: 'GRPO loss',
    help: 'For GRPO: DAPO weighs every token of a step alike, the original every answer, so that tokens of long ones weigh less.',
    kind: 'select',
    options: [
      { value: 'dapo', label: 'DAPO: by tokens' },
      { value: 'grpo', label: 'GRPO: by answers' },
    ],
  },
  {
    path: 'contrastive.scale',
    label: 'Contrast scale',
    help: 'For pairs of texts: how much the nearest wrong text counts among the others of its batch; 20 is usual.',
    kind: 'number',
  },
  {
    path: 'train.seed',
    label: 'Seed',
    help: 'Same recipe, data, seed and device kind: the same losses.',
    kind: 'integer',
  },
  {
    path: 'eval.validation_fraction',
    label: 'Validation share',
    help: 'Share of the rows never trained on, to see whether the model learns or recites.',
    kind: 'number',
  },
  {
    path: 'eval.eval_steps',
    label: 'Steps between validations',
    help: 'How often the loss on the held-out rows is measured.',
    kind: 'integer',
  },
  {
    path: 'eval.early_stopping_patience',
    label: 'Early stopping',
    help: 'Ends the run after this many validations in a row without a lower loss and keeps the best adapter; empty means never.',
    kind: 'optional_integer',
    empty: 'never',
  },
  {
    path: 'eval.probe',
    label: 'Forgetting probe',
    help: 'Scores general text before training and at each validation, to see what the model forgets; it changes nothing in the training.',
    kind: 'toggle',
  },
  {
    path: 'device',
    label: 'Device',
    help: 'Auto takes a real GPU through WebGPU where there is one and the processor otherwise.',
    kind: 'select',
    options: [
      { value: 'auto', label: 'Auto' },
      { value: 'webgpu', label: 'WebGPU' },
      { value: 'cpu', label: 'CPU' },
    ],
  },
];
