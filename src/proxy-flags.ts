import type { Config } from './config-schema.ts';
import type { FlagSwitch } from './migration/guard/guard-ports.ts';
import type { FlagSource, FlagSourceListener } from './rollout/flag-source.ts';
import { createFlagSwitch } from './rollout/flag-switch.ts';
import { createOfflineFlags } from './rollout/offline.ts';
import { RequestCounts } from './rollout/request-counts.ts';
import type { AdminSettings } from './rollout/unleash-admin.ts';
import { createUnleashFlags } from './rollout/unleash.ts';

type UnleashConfig = NonNullable<Config['rollout']['unleash']>;

export interface ProxyFlags {
  readonly flags: FlagSource;
  /** Absent where flags cannot be changed from here. */
  readonly flagSwitch: FlagSwitch | undefined;
  readonly flagRequests: RequestCounts;
}

/** Flags of a server where one is configured, else of files. */
export function createFlags({ rollout }: Config, listener: FlagSourceListener): ProxyFlags {
  const flagRequests = new RequestCounts();
  const { unleash } = rollout;
  if (unleash === undefined) {
    const flags = createOfflineFlags({ folder: rollout.folder, ...listener });
    return { flags, flagSwitch: undefined, flagRequests };
  }
  const onAnswer = flagRequests.add;
  const admin = adminOf(unleash);
  return {
    flags: createUnleashFlags({ ...unleash, ...listener, onAnswer }),
    flagSwitch: admin && createFlagSwitch({ ...admin, onAnswer }),
    flagRequests,
  };
}

/** Undefined without an admin token: then the configuration has no environment to change. */
export function adminOf(unleash: UnleashConfig): AdminSettings | undefined {
  const { url, adminUrl, adminToken, project, environment } = unleash;
  if (adminToken === undefined || environment === undefined) return undefined;
  return { url: adminUrl ?? `${url.replace(/\/+$/, '')}/admin`, token: adminToken, project, environment };
}
