/** Parts of undici that have no types of their own: all of it at once is 150 ms in which nobody else is served. */
declare module 'undici/lib/dispatcher/agent.js' {
  export { Agent as default } from 'undici';
}
declare module 'undici/lib/*';
