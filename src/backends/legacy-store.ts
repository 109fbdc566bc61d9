import { readReply } from '../domain/request.ts';
import type { LegacyAccess } from '../domain/service-definition.ts';
import type { Clock, LegacyBackend } from '../engine/ports/ports.ts';
import { createJsonFileReader } from './json-file-reader.ts';
import { SqliteReader } from './sqlite-reader.ts';

export interface LegacyAccessSettings {
  /** The service's SQLite file. */
  readonly sqlitePath?: string;
  /** The service's JSON file. */
  readonly jsonPath?: string;
  /** The service itself, read through its probe connection. */
  readonly backend?: LegacyBackend;
  /** Timeout of a call to the service, milliseconds. @defaultValue 4500 */
  readonly callTimeoutMs?: number;
  readonly clock: Clock;
}

/** Reads a legacy service's store through its configured file or its protocol. Opens nothing before the first read. */
export function createLegacyAccess(settings: LegacyAccessSettings): LegacyAccess & { stop(): Promise<void> } {
  const { sqlitePath, jsonPath, backend, clock, callTimeoutMs = 4_500 } = settings;
  const sqlite = sqlitePath === undefined ? undefined : new SqliteReader(sqlitePath);
  return {
    ...(sqlite && { sqlite: (sql, parameters) => sqlite.all(sql, parameters) }),
    ...(jsonPath !== undefined && { jsonFile: createJsonFileReader(jsonPath, clock) }),
    ...(backend && {
      call: async (text) => {
        const deadlineAtMs = clock.now() + callTimeoutMs;
        const { body } = await backend.send({ body: Buffer.from(text), purpose: 'probe', deadlineAtMs });
        return readReply(body);
      },
    }),
    stop: async () => sqlite?.stop(),
  };
}
