using System.Globalization;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Tests.Training;

internal sealed class MetricsFileTests
{
    private TrainingScratch _scratch = null!;

    private string File => _scratch.Path("metrics.csv");

    [SetUp]
    public void MakeScratch() => _scratch = new TrainingScratch();

    [TearDown]
    public void DeleteScratch() => _scratch.Dispose();

    [Test]
    public void Numbers_read_back_bit_for_bit()
    {
        float loss = 0.1f + 0.2f, norm = float.BitDecrement(3.1415927f);
        Append(lastStep: 0, (1, loss, norm));
        string[] lines = System.IO.File.ReadAllLines(File);
        string[] fields = lines[1].Split(',');
        Assert.Multiple(() =>
        {
            Assert.That(lines[0], Is.EqualTo("step,loss,grad_norm,lr,images_per_s,elapsed_s"));
            Assert.That(fields[0], Is.EqualTo("1"));
            Assert.That(float.Parse(fields[1], CultureInfo.InvariantCulture), Is.EqualTo(loss));
            Assert.That(float.Parse(fields[2], CultureInfo.InvariantCulture), Is.EqualTo(norm));
            Assert.That(fields[3..], Is.EqualTo(new[] { "0.0001", "12.35", "1.500" }));
        });
    }

    [Test]
    public void Rows_after_the_checkpoint_are_dropped_when_a_run_is_resumed()
    {
        Append(lastStep: 0, (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4));
        System.IO.File.AppendAllText(File, "5,0.");
        Append(lastStep: 2, (3, 33, 33));
        Assert.That(System.IO.File.ReadAllLines(File)[1..].Select(line => line.Split(',')[1]), Is.EqualTo(new[] { "1", "2", "33" }));
    }

    [Test]
    public void Rows_reach_the_file_while_the_run_goes_on()
    {
        using var metrics = MetricsFile.Open(File, lastStep: 0);
        Append(metrics, 1);
        Thread.Sleep(1100);
        Append(metrics, 2);
        using var reader = new StreamReader(new FileStream(File, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        Assert.That(reader.ReadToEnd().Split('\n'), Has.Length.EqualTo(4));
    }

    [Test]
    public void A_file_of_another_kind_is_left_alone()
    {
        System.IO.File.WriteAllText(File, "epoch,loss\n1,2\n");
        Assert.Multiple(() =>
        {
            Assert.That(() => MetricsFile.Open(File, lastStep: 2), Throws.TypeOf<IOException>().With.Message.Contains("epoch,loss"));
            Assert.That(System.IO.File.ReadAllText(File), Is.EqualTo("epoch,loss\n1,2\n"));
        });
    }

    private void Append(long lastStep, params (long Step, float Loss, float Norm)[] rows)
    {
        using var metrics = MetricsFile.Open(File, lastStep);
        foreach (var (step, loss, norm) in rows)
            metrics.Append(step, loss, norm, 1e-4, 12.345678, 1.5);
    }

    private static void Append(MetricsFile metrics, long step) => metrics.Append(step, 0.5f, 0.5f, 1e-4, 1, 1);
}
