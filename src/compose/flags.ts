import type { Config } from '../config/schema.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { AuditStore, FlagSwitch } from '../engine/guard/guard-ports.ts';
import type { Clock } from '../shared/clock.ts';
import type { FlagRouteParts } from '../operator/routes/flag-routes.ts';
import type { FlagSource, FlagSourceListener } from '../rollout/flag-source.ts';
import { createFlagFile, type FlagFile } from '../rollout/flag-file.ts';
import { type AdminSettings, createFlagSwitch } from '../rollout/unleash-admin.ts';
import { createLastKnownFlags } from '../rollout/last-known-flags.ts';
import { checkFlagFiles, createOfflineFlags } from '../rollout/offline.ts';
import { RequestCounts } from '../rollout/unleash-poll.ts';
import { createUnleashFlags } from '../rollout/unleash.ts';
import type { Database } from '../storage/database.ts';
import { createKeptFlags } from '../storage/kept-flags.ts';
import type { Seal } from '../storage/seal.ts';

type UnleashConfig = NonNullable<Config['rollout']['unleash']>;

interface ProxyFlags {
  readonly flags: FlagSource;
  /** Absent where flags cannot be changed from here. */
  readonly flagSwitch: FlagSwitch | undefined;
  /** Absent where a server keeps the flags. */
  readonly flagFile: FlagFile | undefined;
  readonly flagRequests: RequestCounts;
}

/** Where the flags of a server are kept. */
interface FlagKeeping {
  readonly database: Database;
  readonly seal: Seal;
}

/** Flags of a server where one is configured, else of files. */
export function createFlags(
  { rollout }: Config,
  { database, seal }: FlagKeeping,
  listener: FlagSourceListener,
): ProxyFlags {
  const flagRequests = new RequestCounts();
  const { unleash } = rollout;
  if (unleash === undefined) {
    const flags = createOfflineFlags({ folder: rollout.folder, ...listener });
    return { flags, flagSwitch: undefined, flagFile: createFlagFile(rollout.folder), flagRequests };
  }
  const onAnswer = flagRequests.add;
  const admin = adminOf(unleash);
  const lastKnown = createLastKnownFlags(createKeptFlags({ database, seal }, unleash), rollout.folder);
  return {
    flags: createUnleashFlags({ ...unleash, ...listener, onAnswer, lastKnown }),
    flagSwitch: admin && createFlagSwitch({ ...admin, onAnswer }),
    flagFile: undefined,
    flagRequests,
  };
}

/**
 * Flag files are checked before anything is started: a start may take a minute. Returns the names of the flags in files. @throws
 * Error naming each broken file
 */
export async function checkFlags({ rollout: { folder, unleash } }: Config): Promise<readonly string[]> {
  return unleash === undefined ? checkFlagFiles(folder) : [];
}

/** Undefined without an admin token: then the configuration has no environment to change. */
export function adminOf(unleash: UnleashConfig): AdminSettings | undefined {
  const { url, adminUrl, adminToken, project, environment } = unleash;
  if (adminToken === undefined || environment === undefined) return undefined;
  return { url: adminUrl ?? `${url.replace(/\/+$/, '')}/admin`, token: adminToken, project, environment };
}

export interface FlagRouteFacts extends Omit<ProxyFlags, 'flagSwitch' | 'flagRequests'> {
  readonly config: Config;
  readonly services: ReadonlyMap<ServiceName, unknown>;
  readonly guarding: { readonly audit: AuditStore };
  readonly clock: Clock;
}

/** What people can ask and change about flags. */
export function flagRoutesOf(facts: FlagRouteFacts): FlagRouteParts {
  const { config, services, flags, flagFile, guarding, clock } = facts;
  const server = config.rollout.unleash?.url.replace(/\/api\/?$/, '');
  return {
    services: [...services.keys()],
    flags,
    ...(flagFile !== undefined && { editor: flagFile }),
    ...(server !== undefined && { server }),
    audit: guarding.audit,
    clock,
  };
}
