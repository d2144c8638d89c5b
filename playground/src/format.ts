/** How names and times are written. */

import { ref } from 'vue';

import type { AboutFragment, PersonFragment } from '../generated/graphql';
import { listed, namesOf } from './names';

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const WEEKDAY = new Intl.DateTimeFormat(undefined, { weekday: 'long' });
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'long', year: 'numeric' });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: 'full' });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: 'short' });
const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

export const time = (at: string) => TIME.format(new Date(at));
export const moment = (at: string) => MOMENT.format(new Date(at));

const midnight = (at: number | string) => new Date(at).setHours(0, 0, 0, 0);

/** When today began. What is called by its day follows it. */
const today = ref(midnight(Date.now()));

/** A timer may come late, where the machine was asleep, or early, where its clock was changed. */
function turn(): void {
  today.value = midnight(Date.now());
  const tomorrow = new Date(today.value).setDate(new Date(today.value).getDate() + 1);
  setTimeout(turn, Math.min(tomorrow - Date.now(), 60_000));
}
turn();

/** Today is 0, yesterday 1. */
const daysAgo = (at: string) => Math.round((today.value - midnight(at)) / 86_400_000);

function named(at: string, longAgo: Intl.DateTimeFormat): string {
  const days = daysAgo(at);
  if (days < 2) return capital(RELATIVE.format(-days, 'day'));
  return (days < 7 ? WEEKDAY : longAgo).format(new Date(at));
}

/** A day in full. */
export const date = (at: string) => FULL.format(new Date(at));

/** Above the messages of a day. */
export const day = (at: string) => named(at, DAY);

/** In a list: the time of day today, otherwise the day. */
export const when = (at: string) => (daysAgo(at) < 1 ? time(at) : named(at, DATE));

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

export function others(conversation: AboutFragment, viewer: PersonFragment): PersonFragment[] {
  return conversation.participants.nodes.map(({ user }) => user).filter(({ id }) => id !== viewer.id);
}

export function title(conversation: AboutFragment, viewer: PersonFragment): string {
  const { nodes } = conversation.participants;
  const names = namesOf(others(conversation, viewer), nodes.map(({ user }) => user));
  return conversation.title ?? (listed(names) || 'Only you');
}

/** The colour of somebody or something, always the same: an angle between green and orange, by way of blue. */
export function hue(id: string): number {
  const hash = [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9973, 7);
  return 140 + (hash % 26) * 10;
}

/** Whose colour it bears: a conversation of two that of the other. */
export function face(conversation: AboutFragment, viewer: PersonFragment): string {
  const [other, another] = others(conversation, viewer);
  return other && !another && !conversation.title ? other.id : conversation.id;
}

/** As people write them: with or without commas and ats. */
export const handlesIn = (text: string) => text.toLowerCase().split(/[\s,;@]+/).filter(Boolean);

export function isGroup(conversation: AboutFragment): boolean {
  return !!conversation.title || conversation.participants.nodes.length > 2;
}

/** "3 of 5 have it", for a message to a group, while it has reached some of those who tell. */
export function progress(message: { sharingCount: number; deliveredCount: number; readCount: number }): string {
  const { sharingCount: all, deliveredCount, readCount } = message;
  if (all < 2 || readCount === all) return '';
  if (readCount) return `${readCount} of ${all} read it`;
  return deliveredCount && deliveredCount < all ? `${deliveredCount} of ${all} have it` : '';
}

/** What is shown of a message: nothing is left of what a redacted one said. */
export const said = (message: { body: string; redactedAt?: string | null | undefined }): string =>
  message.redactedAt ? 'Message deleted' : message.body;
