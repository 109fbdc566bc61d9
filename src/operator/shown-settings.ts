/** Members that hold secrets, whatever is in them. */
const SECRET = /token|key|secret|password/i;
const ADDRESS = /^([a-z+]+:\/\/)(?:[^@/]*@)?([^/?#]*)/i;

/**
 * Settings as they may be shown to others: of a secret only that it is set, of an address only protocol and host, for the rest of it
 * may hold a name, a password or a webhook's secret.
 */
export function shownSettings(settings: unknown, name = ''): unknown {
  if (Array.isArray(settings)) return settings.map((one: unknown) => shownSettings(one, name));
  if (typeof settings === 'object' && settings !== null) {
    return Object.fromEntries(
      Object.entries(settings).map(([member, value]) => [member, shownSettings(value, member)]),
    );
  }
  if (typeof settings !== 'string') return settings;
  if (SECRET.test(name)) return '(set)';
  const [, protocol, host] = ADDRESS.exec(settings) ?? [];
  return protocol === undefined ? settings : `${protocol}${host ?? ''}`;
}
