import { Command } from 'commander';
import { stringify } from 'yaml';
import { writeAskedFile } from './asked-file.ts';
import { askProxy, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from './tables.ts';

interface Head {
  readonly bundle: number;
  readonly service: string;
  readonly at: string;
  readonly trigger: string;
  readonly bytes: number;
}

/** `crossfade guard bundles`: lists the trips that stored a bundle. */
export function createBundlesCommand(env: Environment): Command {
  const command = new Command('bundles').description(
    'List trips with their bundles: the data stored at the moment of each trip',
  );
  return proxyOptions(command, env).action(list);
}

async function list({ json, ...at }: ProxyOptions): Promise<void> {
  const text = await askProxy(at, '/v1/guard/bundles');
  if (json === true) return console.log(text);
  const { bundles } = JSON.parse(text) as { bundles: readonly Head[] };
  const rows = bundles.map(({ bundle, at, service, trigger, bytes }) => [
    String(bundle),
    at,
    service,
    trigger,
    `${Math.ceil(bytes / 1_024)} KiB`,
  ]);
  console.log(
    rows.length === 0
      ? 'no bundles: no trip has stored one'
      : table(['bundle', 'tripped', 'service', 'trigger', 'size'], rows),
  );
}

/** `crossfade guard bundle`: prints or saves one bundle. */
export function createBundleCommand(env: Environment): Command {
  const command = new Command('bundle')
    .argument('<number>', 'number of the bundle, as in crossfade guard bundles')
    .description('Show the bundle of a trip: signatures, minutes, flags, settings without secrets, versions')
    .option('--out <file>', 'write the bundle to this file, as JSON');
  return proxyOptions(command, env).action(
    async (bundle: string, { json, out, ...at }: ProxyOptions & { readonly out?: string }) => {
      const text = await askProxy(at, `/v1/guard/bundles/${encodeURIComponent(bundle)}`);
      if (out !== undefined) {
        writeAskedFile({ option: '--out', path: out }, text);
        return console.log(`bundle ${bundle} written to ${out}`);
      }
      console.log(json === true ? text : stringify(JSON.parse(text)));
    },
  );
}
