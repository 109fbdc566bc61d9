import type { Logger } from 'pino';
import { printableReason } from './printable-reason.ts';
import { QuietLog } from './quiet-log.ts';

/** Something went wrong at an edge. `problem` is a closed word, `detail` says more. */
export type OnProblem = (service: string, problem: string, detail: string) => void;

/** Logs what the edges report, much of it once a request: aggregated by service and problem. */
export function createProblemLog(log: Logger): OnProblem {
  const quiet = new QuietLog();
  return (service, problem, detail) => {
    const facts = { service, problem, detail: printableReason(detail) };
    const message = `trouble at an edge, ${service}: ${problem.replaceAll('_', ' ')}`;
    quiet.add(`${service} ${problem}`, facts, (said) => log.warn(said, message));
  };
}
