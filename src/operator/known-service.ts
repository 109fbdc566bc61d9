import { type Owner, parseOwner, type ServiceName } from '../domain/ids.ts';
import { Refusal } from './refusal.ts';

/** The refusal of a name that no configured service has, with the names that exist. */
export function unknownService(name: string, services: Iterable<ServiceName>): Refusal {
  const names = [...services].join(', ');
  return new Refusal(404, 'service_not_found', `unknown service "${name}": use ${names}`);
}

/** @throws Refusal if no configured service has this name */
export function knownService(name: string, services: Iterable<ServiceName>): ServiceName {
  const known = [...services];
  const service = known.find((one) => one === name);
  if (service === undefined) throw unknownService(name, known);
  return service;
}

/** @throws Refusal if no lane can have this owner */
export function knownOwner(text: string): Owner {
  const owner = parseOwner(text);
  if (owner === undefined)
    throw new Refusal(
      400,
      'invalid_request',
      `invalid owner ${JSON.stringify(text)}: see crossfade lanes list`,
    );
  return owner;
}
