import { loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { serviceName } from '../domain/ids.ts';
import { adminOf } from '../compose/flags.ts';
import { blueprintsOf } from '../rollout/flag-blueprint.ts';
import { pushFlags, type PushedFlag } from '../rollout/push-flags.ts';
import { UnleashAdmin, type AdminSettings } from '../rollout/unleash-admin.ts';
import type { Environment } from './operator-client.ts';

export interface PushSettings {
  readonly config: string;
  readonly dryRun?: true;
  readonly json?: true;
}

/** Creates the flags that are missing in Unleash. */
export async function push({ config: file, dryRun, json }: PushSettings, env: Environment): Promise<void> {
  // Creating flags does not need the token for reading them.
  const config = loadConfig(file, { ...env, UNLEASH_API_TOKEN: env['UNLEASH_API_TOKEN'] || NO_TOKEN });
  const settings = settingsOf(config);
  const isQuiet = json === true;
  const pushed = await pushFlags(new UnleashAdmin(settings), blueprintsOf(servicesOf(config)), {
    isDryRun: dryRun === true,
    ...(!isQuiet && { onPushed: (one: PushedFlag) => console.log(told(one, dryRun === true)) }),
  });
  const { project, environment } = settings;
  if (isQuiet) console.log(JSON.stringify({ project, environment, dry_run: dryRun === true, flags: pushed }));
  else console.log(summary(pushed, settings, dryRun === true));
  if (pushed.some(({ result }) => result === 'failed')) process.exitCode = 1;
}

const NO_TOKEN = 'none';

const servicesOf = ({ services }: Config) => Object.keys(services).map((name) => serviceName(name));

/** @throws Error naming the missing setting */
function settingsOf({ rollout: { unleash } }: Config): AdminSettings {
  if (unleash === undefined)
    throw new Error('no Unleash server is configured: set rollout.unleash.url or UNLEASH_URL');
  const settings = adminOf(unleash);
  if (settings === undefined)
    throw new Error('no admin token: set rollout.unleash.adminToken or UNLEASH_ADMIN_TOKEN');
  return settings;
}

function told({ flag, result, asks, note }: PushedFlag, isDryRun: boolean): string {
  const done = isDryRun && (result === 'created' || result === 'completed') ? `would be ${result}` : result;
  const share = asks === undefined ? '' : `  requests ${asks} %`;
  return `${done.padEnd(9)}  ${flag}${share}${note === undefined ? '' : `\n           ${note}`}`;
}

function summary(pushed: readonly PushedFlag[], settings: AdminSettings, isDryRun: boolean): string {
  const count = (result: PushedFlag['result']): number =>
    pushed.filter((one) => one.result === result).length;
  const made = `${count('created')} ${isDryRun ? 'to be created' : 'created'}, ${count('completed')} completed`;
  return `${made}, ${count('kept')} kept, ${count('failed')} failed in project "${settings.project}", environment "${settings.environment}"`;
}
