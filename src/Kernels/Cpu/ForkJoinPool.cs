using System.Diagnostics;
using System.Runtime.ExceptionServices;

namespace Diffusion.Gpu.Kernels;

/// <summary>Runs numbered work items on all cores; the calling thread works along and returns when every item is done.</summary>
/// <remarks>
/// Items are handed out one by one, so which thread runs an item is unspecified: an item must write its own results, and a
/// reduction must combine per-item partial results in item order. Item counts must come from the problem size alone; then
/// results are the same bits for any number of threads. A call from inside an item, or while another thread uses the pool, runs
/// on the calling thread. The environment variable DIFFUSION_THREADS limits the number of threads.
/// </remarks>
internal static class ForkJoinPool
{
    /// <summary>How long an idle worker polls before it blocks: longer than the gap between two ops of a network.</summary>
    private static readonly long SpinTicks = Stopwatch.Frequency / 5000;

    private static readonly object Gate = new();
    private static readonly object Sleep = new();
    [ThreadStatic] private static bool _inside;

    private static int _threads = DefaultThreads();
    private static int _workers;
    private static int _sleepers;

    // The job. _ticket holds (generation << 32) | items not yet claimed. Claiming decrements it, so a worker that arrives late can never
    // claim from a job it has not seen; the other fields change only while no item is unclaimed or unfinished.
    private static long _ticket;
    private static Action<int>? _body;
    private static int _count;
    private static int _helpers;
    private static int _unfinished;
    private static ExceptionDispatchInfo? _failure;

    /// <summary>Threads that work on a job, the caller included. The default is the number of cores.</summary>
    public static int Threads
    {
        get => Volatile.Read(ref _threads);
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            Volatile.Write(ref _threads, value);
        }
    }

    /// <summary>Runs <paramref name="body"/> for 0 … <paramref name="count"/> - 1.</summary>
    /// <param name="count">Number of items; a few times the number of threads balances well, each worth 10 µs or more.</param>
    /// <param name="body">Receives the item's number.</param>
    /// <param name="parallel">False keeps the work on the calling thread: the cut-off for work that is smaller than a wake-up.</param>
    /// <exception cref="Exception">The first exception that an item threw; items not yet started are then skipped.</exception>
    public static void Run(int count, Action<int> body, bool parallel = true)
    {
        int threads = Math.Min(Threads, count);
        if (!parallel || threads <= 1 || _inside || !Monitor.TryEnter(Gate))
        {
            for (int item = 0; item < count; item++)
            {
                body(item);
            }

            return;
        }

        try
        {
            _inside = true;
            Fork(count, body, threads - 1);
            Claim(_ticket >>> 32);
            Join();
        }
        finally
        {
            _inside = false;
            Monitor.Exit(Gate);
        }
    }

    /// <summary>Runs <paramref name="body"/> over [0, <paramref name="length"/>) cut into ranges of <paramref name="grain"/>.</summary>
    /// <param name="length">Number of elements.</param>
    /// <param name="grain">Elements per range (the last one may be shorter); a single range runs on the calling thread.</param>
    /// <param name="body">Receives the first element and the one past the last.</param>
    public static void RunRanges(long length, long grain, Action<long, long> body)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(grain, 1);
        if (length <= 0)
        {
            return;
        }

        if (length <= grain)
        {
            body(0, length);
            return;
        }

        int count = checked((int)((length + grain - 1) / grain));
        Run(count, item => body(item * grain, Math.Min(length, (item + 1) * grain)));
    }

    private static int DefaultThreads() =>
        int.TryParse(Environment.GetEnvironmentVariable("DIFFUSION_THREADS"), out int threads) && threads > 0
            ? threads
            : Environment.ProcessorCount;

    private static void Fork(int count, Action<int> body, int helpers)
    {
        while (_workers < helpers)
        {
            int index = _workers++;
            new Thread(() => Work(index)) { IsBackground = true, Name = $"cpu kernels {index + 1}" }.Start();
        }

        _body = body;
        _count = count;
        _helpers = helpers;
        _failure = null;
        _unfinished = count;
        Interlocked.Exchange(ref _ticket, (((_ticket >>> 32) + 1) << 32) | (uint)count);
        if (Volatile.Read(ref _sleepers) > 0)
        {
            lock (Sleep)
            {
                Monitor.PulseAll(Sleep);
            }
        }
    }

    private static void Join()
    {
        var spin = default(SpinWait);
        while (Volatile.Read(ref _unfinished) > 0)
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }

        ExceptionDispatchInfo? failure = _failure;
        _body = null;
        _failure = null;
        failure?.Throw();
    }

    private static void Claim(long generation)
    {
        while (true)
        {
            long ticket = Volatile.Read(ref _ticket);
            int unclaimed = (int)ticket;
            if (ticket >>> 32 != generation || unclaimed == 0)
            {
                return;
            }

            if (Interlocked.CompareExchange(ref _ticket, ticket - 1, ticket) != ticket)
            {
                continue;
            }

            try
            {
                if (Volatile.Read(ref _failure) is null)
                {
                    _body!(_count - unclaimed);
                }
            }
            catch (Exception exception)
            {
                Interlocked.CompareExchange(ref _failure, ExceptionDispatchInfo.Capture(exception), null);
            }

            Interlocked.Decrement(ref _unfinished);
        }
    }

    private static void Work(int index)
    {
        _inside = true;
        long seen = 0;
        while (true)
        {
            seen = Await(seen);
            if (index < Volatile.Read(ref _helpers))
            {
                Claim(seen);
            }
        }
    }

    /// <summary>Returns the generation of a job newer than the one seen: polls first, then blocks.</summary>
    private static long Await(long seen)
    {
        long end = Stopwatch.GetTimestamp() + SpinTicks;
        while (Stopwatch.GetTimestamp() < end)
        {
            long generation = Volatile.Read(ref _ticket) >>> 32;
            if (generation != seen)
            {
                return generation;
            }

            Thread.SpinWait(8);
        }

        lock (Sleep)
        {
            Interlocked.Increment(ref _sleepers);
            while (Volatile.Read(ref _ticket) >>> 32 == seen)
            {
                Monitor.Wait(Sleep);
            }

            Interlocked.Decrement(ref _sleepers);
        }

        return Volatile.Read(ref _ticket) >>> 32;
    }
}
