using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

internal sealed class FeatureFileTests
{
    private static readonly float[] Rows = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    private TrainingScratch _scratch = null!;

    private string File => _scratch.Path("some.features");

    [SetUp]
    public void MakeFolder() => _scratch = new TrainingScratch();

    [TearDown]
    public void DeleteFolder() => _scratch.Dispose();

    [Test]
    public void Rows_are_found_again()
    {
        Write(Rows);
        using var file = FeatureFile.Open(File, "key", 3, out bool discarded);
        var rows = new float[6];
        file.Read(1, rows);
        Assert.Multiple(() =>
        {
            Assert.That(discarded, Is.False);
            Assert.That(file.Count, Is.EqualTo(3));
            Assert.That(rows, Is.EqualTo(Rows[3..]));
            Assert.That(() => file.Read(2, new float[6]), Throws.InstanceOf<ArgumentOutOfRangeException>());
        });
    }

    [Test]
    public void What_a_cut_off_write_left_is_dropped([Values(1, 4, 8, 12, 16, 19)] int lost)
    {
        Write(Rows);
        using (var stream = new FileStream(File, FileMode.Open))
            stream.SetLength(stream.Length - lost);
        CheckTwoRows();
    }

    [Test]
    public void Tail_of_zeros_after_a_power_cut_is_dropped()
    {
        Write(Rows.AsSpan(0, 6));
        using (var stream = new FileStream(File, FileMode.Open))
            stream.SetLength(stream.Length + 40);
        CheckTwoRows();
    }

    [TestCase("other key", 3)]
    [TestCase("key", 4)]
    public void Another_key_or_length_begins_anew(string key, int length)
    {
        Write(Rows);
        using var file = FeatureFile.Open(File, key, length, out bool discarded);
        Assert.That((discarded, file.Count), Is.EqualTo((true, 0)));
    }

    private void CheckTwoRows()
    {
        using (var file = FeatureFile.Open(File, "key", 3, out bool discarded))
        {
            Assert.That((discarded, file.Count), Is.EqualTo((false, 2)));
            file.Append(Rows.AsSpan(6));
        }
        using var again = FeatureFile.Open(File, "key", 3, out _);
        var rows = new float[9];
        again.Read(0, rows);
        Assert.That(rows, Is.EqualTo(Rows));
    }

    private void Write(ReadOnlySpan<float> rows)
    {
        using var file = FeatureFile.Open(File, "key", 3, out _);
        file.Append(rows);
    }
}
