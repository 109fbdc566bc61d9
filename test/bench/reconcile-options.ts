import { parseArgs } from 'node:util';

export interface ReconcileOptions {
  readonly lanes: number;
  /** Lanes copied, or compared item by item, together. */
  readonly concurrency: number;
  readonly isJson: boolean;
}

const USAGE = `npm run bench:reconcile -- [options]
Measures a backfill of lanes of ten items, from a legacy store in memory into an orchestrator on PostgreSQL without embeddings. Then
measures three reconciliations without a change, and one after 0.1 % of the lanes were changed. For comparison, it reads and hashes
both sides once.

  --lanes N            lanes of ten items (default: 100000)
  --concurrency N      lanes that are copied at the same time (default: 256)
  --json               also print the results as one JSON line
  --help               print this help`;

/** @throws Error for what is no option or no number */
export function reconcileOptions(): ReconcileOptions {
  const { values } = parseArgs({
    options: {
      lanes: { type: 'string', default: '100000' },
      concurrency: { type: 'string', default: '256' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const countOf = (name: 'lanes' | 'concurrency'): number => {
    const number = Number(values[name]);
    if (Number.isInteger(number) && number >= 1) return number;
    throw new Error(`--${name} must be a whole number of at least 1, got "${values[name]}"`);
  };
  return { lanes: countOf('lanes'), concurrency: countOf('concurrency'), isJson: values.json };
}
