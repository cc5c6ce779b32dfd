/**
 * The training worker: a compiled module and Blobs go in, answers and events come out. It never touches the network.
 *
 * `requests.ts` answers what is asked, `loop.ts` trains between the answers.
 */
import { wireError } from '../errors.js';
import type { FromWorker, Request } from '../protocol.js';
import { help, type HelpRequest } from './helper.js';
import { holdLock } from './lock.js';
import { Requests } from './requests.js';

const send = (message: FromWorker, transfer: Transferable[] = []) => self.postMessage(message, { transfer });
const requests = new Requests(send);

self.onmessage = (message: MessageEvent<Request | HelpRequest>) => {
  const request = message.data;
  if (request.type === 'help') help(request);
  requests.answer(request).then(
    ({ value, transfer }) => send({ type: 'answer', id: request.id, value }, transfer),
    (error: unknown) => send({ type: 'error', id: request.id, error: wireError(error) }),
  );
};

void holdLock().then((lock) => send({ type: 'loaded', lock }));
