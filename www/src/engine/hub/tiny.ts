/** The files of `tiny`: its texts are in the script, since a bundler would make addresses of `data:` of some of them. */
import chatTemplate from '../../../public/models/tiny/chat_template.jinja?raw';
import config from '../../../public/models/tiny/config.json?raw';
import generationConfig from '../../../public/models/tiny/generation_config.json?raw';
import generalRows from '../../../public/models/tiny/loralet-general.jsonl?raw';
import generalText from '../../../public/models/tiny/loralet-general.txt?raw';
import probeRows from '../../../public/models/tiny/loralet-probe.jsonl?raw';
import probeText from '../../../public/models/tiny/loralet-probe.txt?raw';
import tokenizer from '../../../public/models/tiny/tokenizer.json?raw';
import tokenizerConfig from '../../../public/models/tiny/tokenizer_config.json?raw';

export { default as weightsUrl } from '../../../public/models/tiny/model.safetensors?url';

export const texts: Record<string, string> = {
  'chat_template.jinja': chatTemplate,
  'config.json': config,
  'generation_config.json': generationConfig,
  'loralet-general.jsonl': generalRows,
  'loralet-general.txt': generalText,
  'loralet-probe.jsonl': probeRows,
  'loralet-probe.txt': probeText,
  'tokenizer.json': tokenizer,
  'tokenizer_config.json': tokenizerConfig,
};
