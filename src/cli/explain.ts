import { Command } from 'commander';
import { stringify } from 'yaml';
import { toldExplanation, isUnknownOwner, type Explanation } from './explained.ts';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';

const HELP = `
By default a summary: where reads and writes go and why, the last writes, the last differences. --full prints every fact as YAML.
Operations are named by their ids in the owner's own explanation (writes), in dead-letters, unknown-outcomes and differences. The
timeline of a write gives each step with its time; the journal keeps it for a day after its delivery, the ledgers for 90.
Exit codes: 0 success, 1 error (reason on stderr), also where nothing is known of the owner.`;

const SIGNIFICANT_DIGITS = 4;
const NOT_KNOWN = 1;

interface ExplainOptions extends ProxyOptions {
  readonly full?: true;
}

/** `crossfade explain`: why an owner's requests go where they go, and what became of an operation on both backends. */
export function createExplainCommand(env: Environment): Command {
  const command = new Command('explain')
    .argument('<service>', 'as the status names it')
    .argument('<subject>', 'an owner, or the id of an operation')
    .description('Print a decision with the facts behind it, and what is stored of it')
    .option('--full', 'every fact, as YAML')
    .addHelpText('after', HELP);
  return proxyOptions(command, env, 'every fact, as JSON').action(explain);
}

async function explain(
  service: string,
  subject: string,
  { json, full, ...at }: ExplainOptions,
): Promise<void> {
  const path = `/v1/explain/${encodeURIComponent(service)}/${encodeURIComponent(subject)}`;
  const text = await askProxy(at, path);
  const explanation = JSON.parse(text) as Explanation;
  if (json === true) console.log(text);
  else if (full === true) console.log(stringify(rounded(explanation)));
  if (isUnknownOwner(explanation)) {
    console.error(
      `crossfade: nothing is known of ${service}/${subject}: it was never written through the proxy and never copied. "crossfade lanes list ${service}" shows the known owners`,
    );
    process.exitCode = NOT_KNOWN;
  } else if (json !== true && full !== true) console.log(toldExplanation(explanation));
}

/** Fractions with 14 digits say no more than those with four. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number')
    return Number.isInteger(value) ? value : Number(value.toPrecision(SIGNIFICANT_DIGITS));
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, rounded(member)]));
}
