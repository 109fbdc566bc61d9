import { parseArgs } from 'node:util';

export interface DrainOptions {
  readonly writes: number;
  /** Lanes they belong to, each with as many. */
  readonly lanes: number;
  readonly outageSeconds: number;
  /** Calls a second of all live agents together. */
  readonly liveCalls: number;
  readonly isJson: boolean;
}

/** Of one lane: a session that is made, and its interactions. */
export const WRITES_OF_A_LANE = 50;

const USAGE = `npm run bench:drain -- [options]
Measures how the proxy delivers its backlog after the orchestrator was down, for example for an hour at 500 writes per second. Agents
write and read all the time. At the end both stores are compared. The default is an eighteenth of the writes of that hour.

  --writes N           applied writes that wait, in lanes of ${WRITES_OF_A_LANE} (default: 100000; an hour is 1800000)
  --outage-seconds S   seconds for which agents work before the orchestrator starts (default: 15)
  --live-calls N       calls per second of the live agents, half of them writes (default: 100)
  --json               also print the results as one JSON line
  --help               print this help`;

/** @throws Error for what is no option or no number */
export function drainOptions(): DrainOptions {
  const { values } = parseArgs({
    options: {
      writes: { type: 'string', default: '100000' },
      'outage-seconds': { type: 'string', default: '15' },
      'live-calls': { type: 'string', default: '100' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const wholeOf = (name: 'writes' | 'outage-seconds' | 'live-calls', least: number): number => {
    const number = Number(values[name]);
    if (Number.isInteger(number) && number >= least) return number;
    throw new Error(`--${name} must be a whole number of at least ${least}, got "${values[name]}"`);
  };
  const lanes = Math.ceil(wholeOf('writes', WRITES_OF_A_LANE) / WRITES_OF_A_LANE);
  return {
    writes: lanes * WRITES_OF_A_LANE,
    lanes,
    outageSeconds: wholeOf('outage-seconds', 0),
    liveCalls: wholeOf('live-calls', 1),
    isJson: values.json,
  };
}
