/** Reading again while something changes: politely, only while somebody looks, and not at all once it has ended. */
import { React } from "./host.js";

const { useCallback, useEffect, useRef, useState } = React;
const SLOWEST = 60_000;

/**
 * `read(signal)` gives the data; `pause(data)` the milliseconds until the next reading, or null when nothing will
 * change any more. After an error the last data stays, and the pause grows. {data, error, refresh}
 */
export function useLive(read, pause, keys) {
  const [state, setState] = useState({ data: null, error: null });
  const refresh = useRef(() => {});

  useEffect(() => {
    const ending = new AbortController();
    let timer;
    let errors = 0;
    let due = false;
    let reading = false;

    async function look() {
      clearTimeout(timer);
      if (document.hidden || reading) {
        due = true;
        return;
      }
      due = false;
      reading = true;
      let next;
      try {
        const data = await read(ending.signal);
        if (ending.signal.aborted) return;
        errors = 0;
        next = pause(data);
        setState({ data, error: null });
      } catch (error) {
        if (ending.signal.aborted) return;
        errors += 1;
        // Permissions and what does not exist do not change by asking again.
        next = [401, 403, 404].includes(error.status) ? null : Math.min(5_000 * 2 ** errors, SLOWEST);
        setState((before) => ({ ...before, error }));
      } finally {
        reading = false;
      }
      if (due) look();
      else if (next !== null) timer = setTimeout(look, next);
    }

    function shown() {
      if (!document.hidden && due) look();
    }

    refresh.current = look;
    setState({ data: null, error: null });
    look();
    document.addEventListener("visibilitychange", shown);
    return () => {
      ending.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, keys);

  return { ...state, refresh: useCallback(() => refresh.current(), []) };
}

/** The width of an element in pixels, as it changes: [ref, width]. */
export function useWidth() {
  const [width, setWidth] = useState(0);
  const observer = useRef(null);
  const ref = useCallback((element) => {
    observer.current?.disconnect();
    if (!element) return;
    observer.current = new ResizeObserver(([{ contentRect }]) => setWidth(Math.floor(contentRect.width)));
    observer.current.observe(element);
    setWidth(Math.floor(element.getBoundingClientRect().width));
  }, []);
  return [ref, width];
}
