using Diffusion.Gpu.Kernels.Images;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

internal sealed class ImageDatasetTests
{
    private static readonly ImageTransform Grey8 = new(8, 8, 1);
    private TrainingScratch _scratch = null!;

    [SetUp]
    public void MakeScratch() => _scratch = new TrainingScratch();

    [TearDown]
    public void DeleteScratch() => _scratch.Dispose();

    [Test]
    public void Batches_are_full_and_every_epoch_sees_every_image_once()
    {
        using var dataset = ImageDataset.Open(_scratch.DrawImages(10), Grey8);
        using var loader = new BatchLoader(dataset, seed: 3, batchSize: 4, flip: false, firstBatch: 0);
        // Five batches of four are two epochs of ten.
        int[][] epochs = [.. Enumerable.Range(0, 5).SelectMany(_ => Numbers(loader.Next())).Chunk(10)];
        int[] first = epochs[0], second = epochs[1];
        Assert.Multiple(() =>
        {
            Assert.That(first.Order(), Is.EqualTo(Enumerable.Range(0, 10)));
            Assert.That(second.Order(), Is.EqualTo(Enumerable.Range(0, 10)));
            Assert.That(first, Is.Not.EqualTo(second));
            Assert.That(first, Is.Not.Ordered);
        });
    }

    [TestCase(0L)]
    [TestCase(null)]
    public void Batches_depend_on_seed_and_number_alone_wherever_loading_begins(long? cacheBytes)
    {
        _scratch.DrawImages(9);
        var expected = Load(seed: 5, firstBatch: 0, count: 12, cacheBytes: null);
        var resumed = Load(seed: 5, firstBatch: 7, count: 5, cacheBytes);
        Assert.Multiple(() =>
        {
            Assert.That(resumed, Is.EqualTo(expected[7..]));
            Assert.That(Load(seed: 6, firstBatch: 0, count: 12, cacheBytes), Is.Not.EqualTo(expected));
        });
    }

    [Test]
    public void Flip_mirrors_about_half_of_the_images_and_nothing_else()
    {
        _scratch.DrawImages(200);
        float[][] plain = Load(seed: 1, firstBatch: 0, count: 100, cacheBytes: null, flip: false);
        float[][] flipped = Load(seed: 1, firstBatch: 0, count: 100, cacheBytes: null, flip: true);
        int mirrored = 0;
        for (int i = 0; i < 400; i++)
        {
            var place = (i % 4 * 64)..((i % 4 * 64) + 64);
            float[] original = plain[i / 4][place], image = flipped[i / 4][place];
            float[] mirror = [.. Enumerable.Range(0, 64).Select(p => original[(p / 8 * 8) + 7 - (p % 8)])];
            bool isMirrored = image.AsSpan().SequenceEqual(mirror);
            Assert.That(isMirrored || image.AsSpan().SequenceEqual(original), $"image {i} is neither the original nor its mirror");
            mirrored += isMirrored ? 1 : 0;
        }
        // Binomial: 200 ± 10 of 400; the margin is six standard deviations.
        Assert.That(mirrored, Is.InRange(140, 260));
    }

    [Test]
    public void Images_arrive_as_levels_over_255()
    {
        using var dataset = ImageDataset.Open(_scratch.DrawImages(4), Grey8);
        using var loader = new BatchLoader(dataset, seed: 0, batchSize: 4, flip: false, firstBatch: 0);
        float[] batch = loader.Next();
        var levels = new byte[64];
        dataset.Read(Numbers(batch)[0], levels);
        Assert.That(batch[..64], Is.EqualTo(levels.Select(level => level / 255f)));
    }

    [TestCase(0L)]
    [TestCase(null)]
    public void Spoiled_images_are_skipped_by_name_and_their_neighbours_seen_instead(long? cacheBytes)
    {
        _scratch.DrawImages(40);
        _scratch.Spoil(7, 8);
        using var dataset = ImageDataset.Open(_scratch.Images, Grey8, cacheBytes);
        using var loader = new BatchLoader(dataset, seed: 2, batchSize: 8, flip: false, firstBatch: 0);
        var seen = Enumerable.Range(0, 5).SelectMany(_ => Numbers(loader.Next())).Order().ToArray();
        Assert.Multiple(() =>
        {
            Assert.That(seen, Is.EqualTo(Enumerable.Range(0, 40).Select(i => i is 7 or 8 ? 9 : i).Order()));
            Assert.That(dataset.Skipped, Has.Count.EqualTo(2));
            Assert.That(dataset.Skipped[0], Does.Contain("0007.png").And.Contain("empty"));
            Assert.That(dataset.Skipped[1], Does.Contain("0008.png"));
        });
    }

    [Test]
    public void Opening_fails_when_more_than_a_twentieth_is_spoiled()
    {
        _scratch.DrawImages(40);
        _scratch.Spoil(1, 5, 30);
        Assert.That(() => ImageDataset.Open(_scratch.Images, Grey8), Throws.TypeOf<ImageFormatException>()
            .With.Message.Contains(_scratch.Images).And.Message.Contains("3 of 40").And.Message.Contains("0005.png"));
    }

    [Test]
    public void Loading_fails_when_more_than_a_twentieth_turns_out_spoiled_on_the_way()
    {
        _scratch.DrawImages(40);
        _scratch.Spoil(1, 5, 30);
        using var dataset = ImageDataset.Open(_scratch.Images, Grey8, cacheBytes: 0);
        using var loader = new BatchLoader(dataset, seed: 2, batchSize: 40, flip: false, firstBatch: 0);
        // A thread that loads the second batch may be the one that finds the last fault.
        Assert.That(() => (loader.Next(), loader.Next()), Throws.TypeOf<ImageFormatException>().With.Message.Contains("3 of 40"));
    }

    [Test]
    public void A_batch_larger_than_the_data_set_is_refused()
    {
        using var dataset = ImageDataset.Open(_scratch.DrawImages(5), Grey8);
        Assert.Multiple(() =>
        {
            Assert.That(() => dataset.CheckFills(6), Throws.TypeOf<ImageFormatException>()
                .With.Message.Contains("5 usable images").And.Message.Contains("takes 6").And.Message.Contains("train-batch-size"));
            Assert.That(() => dataset.CheckFills(5), Throws.Nothing);
        });
    }

    [Test]
    public void Fingerprint_follows_the_names()
    {
        _scratch.DrawImages(3);
        string first = Fingerprint();
        File.Move(Path.Combine(_scratch.Images, "0001.png"), Path.Combine(_scratch.Images, "1001.png"));
        string renamed = Fingerprint();
        File.Move(Path.Combine(_scratch.Images, "1001.png"), Path.Combine(_scratch.Images, "0001.png"));
        Assert.Multiple(() =>
        {
            Assert.That(renamed, Is.Not.EqualTo(first));
            Assert.That(Fingerprint(), Is.EqualTo(first));
        });

        string Fingerprint()
        {
            using var dataset = ImageDataset.Open(_scratch.Images, Grey8);
            return dataset.Fingerprint;
        }
    }

    [Test]
    public void Opening_ends_when_cancelled()
    {
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        string images = _scratch.DrawImages(4);
        Assert.That(() => ImageDataset.Open(images, Grey8, cancellation: cancelled.Token), Throws.InstanceOf<OperationCanceledException>());
    }

    private float[][] Load(ulong seed, long firstBatch, int count, long? cacheBytes, bool flip = true)
    {
        using var dataset = ImageDataset.Open(_scratch.Images, Grey8, cacheBytes);
        using var loader = new BatchLoader(dataset, seed, batchSize: 4, flip, firstBatch);
        return [.. Enumerable.Range(0, count).Select(_ => loader.Next().ToArray())];
    }

    /// <summary>The number of each image of a batch, which its first pixel holds.</summary>
    private static int[] Numbers(float[] batch)
        => [.. Enumerable.Range(0, batch.Length / 64).Select(n => (int)MathF.Round(batch[n * 64] * 255))];
}
