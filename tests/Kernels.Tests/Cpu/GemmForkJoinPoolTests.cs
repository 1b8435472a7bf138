namespace Diffusion.Gpu.Kernels.Tests;

[NonParallelizable]
public sealed class GemmForkJoinPoolTests
{
    private int _threads;

    [SetUp]
    public void UseFourThreads()
    {
        _threads = ForkJoinPool.Threads;
        ForkJoinPool.Threads = 4;
    }

    [TearDown]
    public void RestoreThreads() => ForkJoinPool.Threads = _threads;

    [TestCase(0)]
    [TestCase(1)]
    [TestCase(3)]
    [TestCase(1000)]
    public void Run_runs_every_item_once(int count)
    {
        int[] runs = new int[count];
        for (int repeat = 1; repeat <= 200; repeat++)
        {
            ForkJoinPool.Run(count, item => Interlocked.Increment(ref runs[item]));
            Assert.That(runs, Is.All.EqualTo(repeat));
        }
    }

    [Test]
    public void Run_wakes_workers_that_have_gone_to_sleep()
    {
        for (int repeat = 0; repeat < 5; repeat++)
        {
            Thread.Sleep(5);
            using var both = new Barrier(2);
            ForkJoinPool.Run(2, _ => Assert.That(both.SignalAndWait(TimeSpan.FromSeconds(30)), Is.True));
        }
    }

    [Test]
    public void Run_inside_an_item_runs_inline()
    {
        int[] sums = new int[8];
        ForkJoinPool.Run(8, outer =>
        {
            int thread = Environment.CurrentManagedThreadId;
            ForkJoinPool.Run(10, inner => sums[outer] += Environment.CurrentManagedThreadId == thread ? inner : 1000);
        });
        Assert.That(sums, Is.All.EqualTo(45));
    }

    [Test]
    public void Run_throws_what_an_item_throws_and_stays_usable()
    {
        for (int repeat = 0; repeat < 50; repeat++)
        {
            Assert.That(
                () => ForkJoinPool.Run(100, item => { if (item == 17) { throw new InvalidDataException("seventeen"); } }),
                Throws.InstanceOf<InvalidDataException>().With.Message.EqualTo("seventeen"));
        }

        int done = 0;
        ForkJoinPool.Run(100, _ => Interlocked.Increment(ref done));
        Assert.That(done, Is.EqualTo(100));
    }

    [Test]
    public void Run_from_several_threads_at_once_completes_each()
    {
        int[] done = new int[6];
        Thread[] callers = [.. Enumerable.Range(0, 6).Select(caller => new Thread(() =>
        {
            for (int repeat = 0; repeat < 100; repeat++)
            {
                ForkJoinPool.Run(20, _ => Interlocked.Increment(ref done[caller]));
            }
        }))];
        Array.ForEach(callers, caller => caller.Start());
        Array.ForEach(callers, caller => caller.Join());
        Assert.That(done, Is.All.EqualTo(2000));
    }

    [TestCase(1, 1)]
    [TestCase(7, 3)]
    [TestCase(9, 3)]
    [TestCase(5, 100)]
    [TestCase(100003, 1000)]
    public void RunRanges_covers_the_length_once(int length, int grain)
    {
        int[] hits = new int[length];
        ForkJoinPool.RunRanges(length, grain, (start, end) =>
        {
            Assert.That(end - start, Is.InRange(1, grain));
            for (long i = start; i < end; i++)
            {
                hits[i]++;
            }
        });
        Assert.That(hits, Is.All.EqualTo(1));
    }
}
