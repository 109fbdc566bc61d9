import type { Config } from '../config/schema.ts';

/** Where people reach the reports, and the desk where all its pages are served. Undefined without a desk. */
export function reportsUrlOf({ desk }: Pick<Config, 'desk'>): string | undefined {
  if (desk === undefined) return undefined;
  return (desk.url ?? `http://${desk.host}:${desk.port}`).replace(/\/+$/, '');
}

/** Where people reach the pages of the desk: for links in messages and reports. */
export function deskUrlOf(config: Pick<Config, 'desk'>): string | undefined {
  return config.desk?.pages === 'all' ? reportsUrlOf(config) : undefined;
}
