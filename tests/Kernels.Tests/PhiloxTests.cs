namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>The generator's known answers, and what the numbers may depend on.</summary>
public sealed class PhiloxTests
{
    private const uint Ones = 0xFFFFFFFF;

    [Test]
    public void Block_matches_the_known_answers_of_Random123()
    {
        Assert.That(Philox.Block(0, 0, 0, 0, 0, 0), Is.EqualTo(new PhiloxBlock(0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)));
        Assert.That(Philox.Block(Ones, Ones, Ones, Ones, Ones, Ones),
            Is.EqualTo(new PhiloxBlock(0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)));
        Assert.That(Philox.Block(0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0),
            Is.EqualTo(new PhiloxBlock(0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)));
    }

    [Test]
    public void Numbers_depend_on_the_sample_and_not_on_its_place_in_the_batch()
    {
        var whole = new RandomKey(5, 6, 7);
        var part = whole with { FirstSample = 3 };
        for (uint i = 0; i < 9; i++)
            Assert.That(Philox.Normal(part, 2, i), Is.EqualTo(Philox.Normal(whole, 5, i)));
    }

    [Test]
    public void Numbers_differ_between_seeds_streams_draws_samples_and_indices()
    {
        var key = new RandomKey(1, 2, 3, 4);
        RandomKey[] keys = [key, key with { Seed = 1UL << 32 }, key with { Seed = 0 }, key with { Stream = 3 }, key with { Draw = 2 }];
        var numbers = keys.SelectMany(k => new uint[] { 0, 1 }.SelectMany(sample => Enumerable.Range(0, 8)
            .Select(i => Philox.Uniform(k, sample, (uint)i))));
        Assert.That(numbers, Is.Unique);
    }

    [Test]
    public void Uniform_numbers_are_below_one_and_evenly_spread()
    {
        const int Count = 1_000_000, Bins = 100;
        var key = new RandomKey(11, 0, 0);
        var counts = new int[Bins];
        for (uint i = 0; i < Count; i++)
            counts[(int)(Philox.Uniform(key, 0, i) * Bins)]++;
        double expected = (double)Count / Bins, chiSquared = counts.Sum(count => (count - expected) * (count - expected) / expected);
        // 99 degrees of freedom: 149 is exceeded once in a thousand seeds.
        Assert.That(chiSquared, Is.LessThan(149));
        Assert.That(Philox.ToUniform(Ones), Is.LessThan(1f));
    }

    [Test]
    public void Integers_cover_their_range_and_nothing_else()
    {
        var key = new RandomKey(3, 1, 4);
        var drawn = Enumerable.Range(0, 2000).Select(i => Philox.Integer(key, (uint)i, 0, 7)).ToArray();
        Assert.That(drawn.Distinct().Order(), Is.EqualTo(Enumerable.Range(0, 7)));
        Assert.That(Philox.Integer(key, 0, 0, 1), Is.Zero);
    }
}
