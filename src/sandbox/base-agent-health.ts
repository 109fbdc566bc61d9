import { dumpPythonJson, loadPythonJson } from './python-json.ts';
import type { Clock } from './python-time.ts';
import { PythonError, PythonFloat } from './python-values.ts';
import type { PythonValue } from './python-values.ts';

// Main loop, health, clean-up, publisher and the main thread.
const ACTIVE_THREADS = 5;

/** The health dialect of BaseAgent: any JSON counts as a request. This agent never sets the event behind `initialized`. */
export function createBaseAgentHealth(
  agentName: string,
  clock: Clock,
  naiveLocalTime: (epochMs: number) => string,
): (frame: Buffer) => string {
  const startedMs = clock();
  return (frame) => {
    const error = requestError(frame);
    if (error !== undefined)
      return dumpPythonJson(
        new Map([
          ['status', 'error'],
          ['error', error],
        ]),
      );
    const nowMs = clock();
    return dumpPythonJson(
      new Map<string, PythonValue>([
        ['status', 'ok'],
        ['ready', true],
        ['initialized', false],
        ['message', `${agentName} is healthy`],
        ['timestamp', naiveLocalTime(nowMs)],
        ['uptime', new PythonFloat((nowMs - startedMs) / 1000)],
        ['active_threads', ACTIVE_THREADS],
      ]),
    );
  };
}

function requestError(frame: Buffer): string | undefined {
  try {
    loadPythonJson(frame);
    return undefined;
  } catch (error) {
    if (!(error instanceof PythonError)) throw error;
    return error.message.startsWith("'utf-8' codec") ? 'Invalid UTF-8 request' : 'Invalid JSON request';
  }
}
