import type { Logger } from 'pino';
import { printableReason } from './printable-reason.ts';
import { QuietLog } from './quiet-log.ts';

/** Reports a problem of an edge (flags, a frontend, a legacy service). `problem` is one of a closed set of words; `detail` is free text. */
export type OnProblem = (service: string, problem: string, detail: string) => void;

/** Logs problems of the edges. They can occur with every request, so they are aggregated by service and problem. */
export function createProblemLog(log: Logger): OnProblem {
  const quiet = new QuietLog();
  return (service, problem, detail) => {
    const facts = { service, problem, detail: printableReason(detail) };
    const message = `problem of ${service}: ${problem.replaceAll('_', ' ')}`;
    quiet.add(`${service} ${problem}`, facts, (said) => log.warn(said, message));
  };
}
