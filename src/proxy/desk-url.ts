import type { Config } from '../config-schema.ts';

/** Where people reach the desk: for links in messages and reports. Undefined without a desk. */
export function deskUrlOf({ desk }: Pick<Config, 'desk'>): string | undefined {
  if (desk === undefined) return undefined;
  return (desk.url ?? `http://${desk.host}:${desk.port}`).replace(/\/+$/, '');
}
