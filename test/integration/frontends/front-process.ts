import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { createZmqFrontend } from '../../../src/frontends/zmq/router.ts';

/** A frontend in a process of its own, which answers every request with it after so many milliseconds. */
const [port = 0, answerMs = 0] = process.argv.slice(2).map(Number);
const problems: string[] = [];
const frontend = createZmqFrontend({
  service: serviceName('session-memory'),
  host: '127.0.0.1',
  port,
  clock,
  handler: {
    async handle({ body }) {
      if (answerMs > 0) await sleep(answerMs * Math.random());
      return { body };
    },
  },
  farewell: { drainMs: 3_000 },
  takeOverMs: 20_000,
  onProblem: (problem) => problems.push(problem),
});
process.once('message', () => {
  void frontend.stop().then(() => {
    process.send?.({ problems }, () => process.disconnect());
  });
});
await frontend.start();
process.send?.('ready');
